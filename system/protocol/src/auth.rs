//! What a client says of itself in CONNECT.

use serde::Serialize;
use serde_json::Value;

use crate::fields::Fields;
use crate::{Code, Offset, Refusal, Room};

/// `{ "token": string, "room"?: string = "global", "offset"?: string }`. What the token says is the node's business.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Auth {
    pub token: String,
    pub room: Room,
    /// Where to resume; without one there is no history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
}

impl Auth {
    /// `None` stands for a CONNECT without a payload.
    pub fn parse(payload: Option<&Value>) -> Result<Auth, Refusal> {
        let fields = payload.and_then(|p| Fields::of(p).ok()).ok_or_else(Refusal::unauthenticated)?;
        let token = fields.raw("token").and_then(Value::as_str).filter(|t| !t.is_empty());
        Ok(Auth {
            token: token.ok_or_else(Refusal::unauthenticated)?.to_owned(),
            room: fields.optional_with("room", Room::parse).map_err(room_invalid)?.unwrap_or_default(),
            offset: fields.optional_with("offset", offset)?,
        })
    }
}

fn room_invalid(refusal: Refusal) -> Refusal {
    Refusal { code: Code::RoomInvalid, ..refusal }
}

pub(crate) fn offset(text: &str) -> Result<Offset, Refusal> {
    text.parse().map_err(|wrong| Refusal::invalid("offset", wrong))
}

/// The token is a secret and stays out of logs.
impl std::fmt::Debug for Auth {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Auth").field("room", &self.room).field("offset", &self.offset).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(payload: &Value) -> Code {
        Auth::parse(Some(payload)).unwrap_err().code
    }

    #[test]
    fn a_token_alone_means_the_global_room_without_history() {
        let auth = Auth::parse(Some(&json!({ "token": "t", "future": 1 }))).unwrap();
        assert_eq!((auth.room.as_str(), auth.offset), ("global", None));
    }

    #[test]
    fn without_a_token_nobody_is_let_in() {
        assert_eq!(Auth::parse(None).unwrap_err(), Refusal::unauthenticated());
        for payload in [json!(null), json!([]), json!({}), json!({ "token": "" }), json!({ "token": 1 })] {
            assert_eq!(code(&payload), Code::Unauthenticated);
        }
    }

    #[test]
    fn a_bad_room_or_offset_is_named() {
        assert_eq!(code(&json!({ "token": "t", "room": "a b" })), Code::RoomInvalid);
        assert_eq!(code(&json!({ "token": "t", "room": null })), Code::RoomInvalid);
        let refusal = Auth::parse(Some(&json!({ "token": "t", "offset": "12" }))).unwrap_err();
        assert_eq!(refusal.message, "Invalid message payload: offset must be 20 lowercase hexadecimal digits");
    }

    #[test]
    fn the_token_is_never_printed() {
        let auth = Auth::parse(Some(&json!({ "token": "s3cret" }))).unwrap();
        assert!(!format!("{auth:?}").contains("s3cret"));
    }

    #[test]
    fn what_a_client_writes_is_what_a_node_reads() {
        let offset = Offset::new(5, 6);
        let auth = Auth { token: "t".into(), room: Room::parse("r").unwrap(), offset };
        assert_eq!(Auth::parse(Some(&serde_json::to_value(&auth).unwrap())).unwrap(), auth);
    }
}
