//! Who is connecting? A token becomes an [`Identity`], or a refusal with its code.

mod keys;

use std::sync::Arc;
use std::time::Duration;

use system_protocol::{Code, Refusal, Room, UserId, limits};

pub use keys::Keys;
pub(crate) use keys::expired;

use crate::reload::Watched;

/// A token's owner and where they may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub user: UserId,
    /// Room names, a trailing `*` as prefix; `None` allows all.
    rooms: Option<Vec<String>>,
    /// Since 1970: when the token stops being believed. `None`: never.
    expires: Option<Duration>,
}

impl Identity {
    /// Since 1970: the first moment at which the token would not be let in any more.
    pub(crate) fn expires(&self) -> Option<Duration> {
        self.expires
    }

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
    Jwt(Arc<Watched<Keys>>),
}

impl Authenticator {
    /// HS256, one secret a line.
    pub(crate) fn from_secret_file(path: &str) -> Result<Self, String> {
        Watched::read(&[path], Keys::secrets).map(Authenticator::Jwt)
    }

    /// RS256 or EdDSA, as each key of the PEM file says.
    pub(crate) fn from_public_key_file(path: &str) -> Result<Self, String> {
        Watched::read(&[path], Keys::public).map(Authenticator::Jwt)
    }

    pub fn identify(&self, token: &str) -> Result<Identity, Refusal> {
        let (sub, rooms, expires) = match self {
            Authenticator::None => (token.to_owned(), None, None),
            Authenticator::Jwt(keys) => {
                let claims = keys.current().claims(token)?;
                (claims.sub, claims.rooms, Some(end_of(claims.exp)))
            }
        };
        let user = UserId::parse(&sub).map_err(|_| invalid())?;
        Ok(Identity { user, rooms, expires })
    }
}

/// Tokens are judged by whole seconds, and let in while the leeway's last one lasts.
fn end_of(exp: f64) -> Duration {
    Duration::from_secs((exp.round() as u64).saturating_add(1)).saturating_add(limits::TOKEN_LEEWAY)
}

fn invalid() -> Refusal {
    Refusal::new(Code::TokenInvalid, "Token invalid")
}

/// Keys stay out of logs.
impl std::fmt::Debug for Authenticator {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Authenticator::None => "None",
            Authenticator::Jwt(_) => "Jwt",
        })
    }
}

#[cfg(test)]
mod tests;
