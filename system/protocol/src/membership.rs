//! Entering and leaving a room.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::offset;
use crate::fields::Fields;
use crate::{Offset, Refusal, Room};

/// `join`: `{ "room": string, "offset"?: string }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Join {
    pub room: Room,
    /// Where to resume; without one there is no history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
}

impl Join {
    pub fn parse(payload: &Value) -> Result<Join, Refusal> {
        let fields = Fields::of(payload)?;
        Ok(Join { room: Room::parse(fields.required("room")?)?, offset: fields.optional_with("offset", offset)? })
    }
}

/// `leave`: `{ "room": string }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leave {
    pub room: Room,
}

impl Leave {
    pub fn parse(payload: &Value) -> Result<Leave, Refusal> {
        Ok(Leave { room: Room::parse(Fields::of(payload)?.required("room")?)? })
    }
}

/// The node's answer to CONNECT and to `join`; it comes before any message of that room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    pub room: Room,
    /// The position that messages follow from: the client's own while it is held, else the head.
    /// Absent only from a node without a log (plain Pub/Sub).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
    /// The room's end now. Absent as `offset` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Offset>,
    /// False: history between the client's offset and `head` is no longer held.
    pub recovered: bool,
}

/// The node's answer to `leave`: nothing after that offset is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub room: Room,
    /// Absent only from a node without a log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_room_is_needed_and_an_offset_is_not() {
        let join = Join::parse(&json!({ "room": "r", "x": 1 })).unwrap();
        assert_eq!((join.room.as_str(), join.offset), ("r", None));
        for (bad, field) in [
            (json!({}), "room is missing"),
            (json!({ "room": 1 }), "room must be a string"),
            (json!("r"), "payload must be an object"),
            (json!({ "room": "r", "offset": 0 }), "offset must be a string"),
        ] {
            let message = Join::parse(&bad).unwrap_err().message;
            assert_eq!(message, format!("Invalid message payload: {field}"));
        }
        assert!(Leave::parse(&json!({ "room": "" })).is_err());
    }

    #[test]
    fn the_answers_look_as_the_contract_says() {
        let offset = Offset::new(1, 2);
        let room = Room::parse("r").unwrap();
        let joined = Joined { room: room.clone(), offset, head: Offset::new(1, 3), recovered: true };
        assert_eq!(
            serde_json::to_value(joined).unwrap(),
            json!({ "room": "r", "offset": "00000000000100000002", "head": "00000000000100000003", "recovered": true })
        );
        let left = serde_json::to_value(Left { room, offset }).unwrap();
        assert_eq!(left, json!({ "room": "r", "offset": "00000000000100000002" }));
    }
}
