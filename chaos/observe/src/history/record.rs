//! One operation of one user, as a line of `history.jsonl`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::At;

/// What one user did or saw, and when. The lines of one user are in the order in which things happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub at: At,
    /// Unique in the run; what nodes call the sender of this user's messages.
    pub user: String,
    pub op: Op,
}

/// Message ids are unique in the run. `None` as an offset: the system has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// An attempt goes on the wire. A retry is the same message with a higher attempt; the first is 1.
    Send {
        message: String,
        room: String,
        attempt: u32,
        /// When the message was due, by the schedule; latency counts from here. The same for all attempts.
        intended: At,
        content: Content,
        #[serde(default, skip_serializing_if = "is_false")]
        canary: bool,
    },
    /// An attempt was acknowledged.
    SendOk {
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset: Option<Offset>,
    },
    /// An attempt was refused.
    SendFail {
        message: String,
        code: String,
    },
    /// An attempt timed out or was cut: it may have been stored.
    SendInfo {
        message: String,
        why: String,
    },
    /// A join goes on the wire. With an offset it resumes.
    Join {
        room: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset: Option<Offset>,
    },
    JoinOk {
        room: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset: Option<Offset>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        head: Option<Offset>,
        recovered: bool,
    },
    Leave {
        room: String,
    },
    LeaveOk {
        room: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset: Option<Offset>,
    },
    /// Connected to this node.
    Up {
        node: String,
    },
    Down {
        why: String,
    },
    /// A receipt on the wire, also one that the client then hides from its user.
    Recv {
        room: String,
        message: String,
        sender: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset: Option<Offset>,
        content: Content,
        /// At or before the head that the join named.
        #[serde(default, skip_serializing_if = "is_false")]
        replay: bool,
        /// The client took it for a duplicate, or was not in the room.
        #[serde(default, skip_serializing_if = "is_false")]
        hidden: bool,
    },
    /// One message of the final read, in its order.
    Final {
        room: String,
        message: String,
        sender: String,
        offset: Offset,
        content: Content,
    },
    /// The final read of this room is complete. `head` is where the log ended, be there messages or not.
    FinalEnd {
        room: String,
        head: Offset,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A place in a room's order. On the wire it is 20 lowercase hexadecimal digits whose byte order is the room's order;
/// here it is their number, which has the same order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Offset(pub u128);

/// Why a text is no offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("offset {0:?} is not 20 lowercase hexadecimal digits")]
pub struct OffsetError(pub String);

const DIGITS: usize = 20;

impl fmt::Display for Offset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:020x}", self.0)
    }
}

impl FromStr for Offset {
    type Err = OffsetError;

    fn from_str(text: &str) -> Result<Offset, OffsetError> {
        let digits = text.len() == DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let number = if digits { u128::from_str_radix(text, 16).ok() } else { None };
        number.map(Offset).ok_or_else(|| OffsetError(text.to_owned()))
    }
}

impl Serialize for Offset {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Offset, D::Error> {
        from.deserialize_str(Parsed::<Offset>(std::marker::PhantomData))
    }
}

/// A hash of a message's text: enough to see that it changed, and no text in what is written down.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Content(pub u64);

impl Content {
    /// FNV-1a of the bytes: the same in every build and on every machine.
    pub fn of(text: &str) -> Content {
        let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Content(text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
    }
}

impl fmt::Display for Content {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl FromStr for Content {
    type Err = String;

    fn from_str(text: &str) -> Result<Content, String> {
        let number = u64::from_str_radix(text, 16);
        number.map(Content).map_err(|_| format!("content hash {text:?} is not hexadecimal"))
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Content, D::Error> {
        from.deserialize_str(Parsed::<Content>(std::marker::PhantomData))
    }
}

/// Reads a value from its text without keeping the text: histories have millions of them.
struct Parsed<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> de::Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text of hexadecimal digits")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_one_short_line() {
        let op = Op::Recv {
            room: "r01".to_owned(),
            message: "u1-000001".to_owned(),
            sender: "u1".to_owned(),
            offset: Some("0193a1b2c3d400000001".parse().unwrap()),
            content: Content(0xab),
            replay: false,
            hidden: true,
        };
        let record = Record { at: At(1500), user: "u2".to_owned(), op };
        let line = serde_json::to_string(&record).unwrap();
        let expected = concat!(
            r#"{"at":1500,"user":"u2","op":{"recv":{"room":"r01","message":"u1-000001","sender":"u1","#,
            r#""offset":"0193a1b2c3d400000001","content":"00000000000000ab","hidden":true}}}"#
        );
        assert_eq!(line, expected);
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
    }

    #[test]
    fn unknown_fields_and_malformed_offsets_are_refused() {
        for bad in [
            r#"{"at":1,"user":"u","op":{"leave":{"room":"r","rooom":"r"}}}"#,
            r#"{"at":1,"user":"u","op":{"leave":{"room":"r"}},"extra":1}"#,
            r#"{"at":1,"user":"u","op":{"leave_ok":{"room":"r","offset":"12"}}}"#,
            r#"{"at":1,"user":"u","op":{"leave_ok":{"room":"r","offset":"0193A1B2C3D400000001"}}}"#,
        ] {
            assert!(serde_json::from_str::<Record>(bad).is_err(), "{bad}");
        }
    }
}
