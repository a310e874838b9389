//! Who is connecting? A token becomes an [`Identity`], or a refusal with its code.
//!
//! HS256 by a secret file, or nothing at all (`--auth none`). Deliberately absent for now: public keys (EdDSA, RS256)
//! and rotation, which have their own issue.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use system_protocol::{Code, Refusal, Room, UserId, limits};

/// RFC 7518, section 3.2: a key no shorter than the hash.
const SHORTEST_SECRET: usize = 32;

/// A token's owner and where they may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub user: UserId,
    /// Room names, a trailing `*` as prefix; `None` allows all.
    rooms: Option<Vec<String>>,
}

impl Identity {
    pub fn may_join(&self, room: &Room) -> Result<(), Refusal> {
        let allows = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => room.as_str().starts_with(prefix),
            None => room.as_str() == pattern,
        };
        match &self.rooms {
            Some(rooms) if !rooms.iter().any(allows) => {
                Err(Refusal::new(Code::RoomForbidden, format!("Room forbidden: {room}")))
            }
            _ => Ok(()),
        }
    }
}

/// How tokens are judged.
pub enum Authenticator {
    /// Any non-empty token is its owner's name.
    None,
    Jwt {
        key: Box<DecodingKey>,
        validation: Box<Validation>,
    },
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    rooms: Option<Vec<String>>,
}

impl Authenticator {
    pub fn from_secret(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < SHORTEST_SECRET {
            return Err(format!("holds {} bytes, HS256 needs {SHORTEST_SECRET} or more", secret.len()));
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = limits::TOKEN_LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Ok(Authenticator::Jwt { key: Box::new(DecodingKey::from_secret(secret)), validation: Box::new(validation) })
    }

    pub(crate) fn from_secret_file(path: &str) -> Result<Self, String> {
        let mut secret = std::fs::read(path).map_err(|error| format!("{path:?} cannot be read: {error}"))?;
        while secret.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
            secret.pop();
        }
        Authenticator::from_secret(&secret).map_err(|wrong| format!("{path:?} {wrong}"))
    }

    pub fn identify(&self, token: &str) -> Result<Identity, Refusal> {
        let claims = match self {
            Authenticator::None => Claims { sub: token.to_owned(), rooms: None },
            Authenticator::Jwt { key, validation } => {
                jsonwebtoken::decode::<Claims>(token, key, validation).map_err(|error| refusal(error.kind()))?.claims
            }
        };
        let user = UserId::parse(&claims.sub).map_err(|_| invalid())?;
        Ok(Identity { user, rooms: claims.rooms })
    }
}

fn refusal(kind: &ErrorKind) -> Refusal {
    match kind {
        ErrorKind::ExpiredSignature => Refusal::new(Code::TokenExpired, "Token expired"),
        _ => invalid(),
    }
}

fn invalid() -> Refusal {
    Refusal::new(Code::TokenInvalid, "Token invalid")
}

/// Keys stay out of logs.
impl std::fmt::Debug for Authenticator {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Authenticator::None => "None",
            Authenticator::Jwt { .. } => "Jwt",
        })
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn signed(algorithm: Algorithm, secret: &[u8], claims: &Value) -> String {
        encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).unwrap()
    }

    fn identify(claims: &Value) -> Result<Identity, Code> {
        let authenticator = Authenticator::from_secret(SECRET).unwrap();
        authenticator.identify(&signed(Algorithm::HS256, SECRET, claims)).map_err(|refusal| refusal.code)
    }

    fn in_seconds(seconds: i64) -> i64 {
        get_current_timestamp().cast_signed() + seconds
    }

    #[test]
    fn a_signed_token_names_its_owner() {
        let identity = identify(&json!({ "sub": "ann", "exp": in_seconds(60), "aud": "someone" })).unwrap();
        assert_eq!(identity.user.as_str(), "ann");
        assert!(identity.may_join(&Room::default()).is_ok());
    }

    #[test]
    fn half_a_minute_of_clock_difference_is_forgiven_and_no_more() {
        assert!(identify(&json!({ "sub": "ann", "exp": in_seconds(-25) })).is_ok());
        assert_eq!(identify(&json!({ "sub": "ann", "exp": in_seconds(-35) })), Err(Code::TokenExpired));
        assert_eq!(
            identify(&json!({ "sub": "ann", "exp": in_seconds(60), "nbf": in_seconds(35) })),
            Err(Code::TokenInvalid)
        );
    }

    #[test]
    fn a_token_without_expiry_or_a_valid_owner_is_no_token() {
        for claims in [
            json!({ "sub": "ann" }),
            json!({ "exp": in_seconds(60) }),
            json!({ "sub": "", "exp": in_seconds(60) }),
            json!({ "sub": "a b", "exp": in_seconds(60) }),
            json!({ "sub": "a".repeat(65), "exp": in_seconds(60) }),
            json!({ "sub": 7, "exp": in_seconds(60) }),
            json!({ "sub": "ann", "exp": "soon" }),
            json!({ "sub": "ann", "exp": in_seconds(60), "rooms": "all" }),
        ] {
            assert_eq!(identify(&claims), Err(Code::TokenInvalid), "{claims}");
        }
    }

    #[test]
    fn only_our_key_and_our_algorithm_are_believed() {
        let authenticator = Authenticator::from_secret(SECRET).unwrap();
        let claims = json!({ "sub": "ann", "exp": in_seconds(60) });
        let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjk5OTk5OTk5OTl9.".to_owned();
        let others = [signed(Algorithm::HS512, SECRET, &claims), signed(Algorithm::HS256, &[7; 32], &claims), unsigned];
        for token in others.iter().map(String::as_str).chain(["", "x", "a.b.c"]) {
            assert_eq!(authenticator.identify(token).unwrap_err().code, Code::TokenInvalid, "{token}");
        }
    }

    #[test]
    fn a_token_may_be_limited_to_rooms() {
        let claims = json!({ "sub": "ann", "exp": in_seconds(60), "rooms": ["global", "team-*"] });
        let identity = identify(&claims).unwrap();
        let allowed = |room: &str| identity.may_join(&Room::parse(room).unwrap()).is_ok();
        assert!(allowed("global") && allowed("team-") && allowed("team-7"));
        assert!(!allowed("globa") && !allowed("global2") && !allowed("Team-7"));
        assert!(
            identify(&json!({ "sub": "a", "exp": in_seconds(60), "rooms": [] }))
                .unwrap()
                .may_join(&Room::default())
                .is_err()
        );
    }

    #[test]
    fn without_authentication_a_token_is_a_name() {
        assert_eq!(Authenticator::None.identify("bob").unwrap().user.as_str(), "bob");
        assert_eq!(Authenticator::None.identify("b ob").unwrap_err().code, Code::TokenInvalid);
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(Authenticator::from_secret(&[7; 31]).unwrap_err().contains("31 bytes"));
    }
}
