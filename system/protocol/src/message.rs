//! A chat message on its way in, its ack, and on its way out.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fields::Fields;
use crate::{MessageId, Offset, Refusal, Room, TraceParent, UserId, limits, trace_parent};

/// `chat-message` from a client: `{ "content", "id"?, "room"?, "traceparent"? }`.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Submit {
    /// 1 to 1000 UTF-16 code units, not only white space, byte for byte as the client sent it.
    pub content: String,
    /// Without one the node makes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    /// Without one: `global`, as in CONNECT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<Room>,
    /// A malformed one counts as none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
}

impl Submit {
    /// What a client would send; the same rules as in [`parse`](Submit::parse), without an id yet.
    pub fn new(text: impl Into<String>, room: Room, traceparent: Option<TraceParent>) -> Result<Submit, Refusal> {
        let text = text.into();
        check_content(&text)?;
        Ok(Submit { content: text, id: None, room: Some(room), traceparent })
    }

    pub fn parse(payload: &Value) -> Result<Submit, Refusal> {
        let fields = Fields::of(payload)?;
        let content = fields.required("content")?;
        check_content(content)?;
        Ok(Submit {
            content: content.to_owned(),
            id: fields.optional_with("id", MessageId::parse)?,
            room: fields.optional_with("room", Room::parse)?,
            traceparent: fields.raw("traceparent").and_then(Value::as_str).and_then(|text| text.parse().ok()),
        })
    }
}

fn check_content(text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        return Err(Refusal::invalid("content", "must not be empty"));
    }
    // One past the limit is enough to know; a payload may hold a million bytes.
    if text.encode_utf16().take(limits::CONTENT_UNITS + 1).count() > limits::CONTENT_UNITS {
        let limit = limits::CONTENT_UNITS;
        return Err(Refusal::invalid("content", format_args!("must be at most {limit} UTF-16 code units long")));
    }
    if text.chars().all(is_white_space) {
        return Err(Refusal::invalid("content", "must not be only white space"));
    }
    Ok(())
}

/// Unicode's White_Space, and the byte order mark, which a browser's `trim` takes away too.
fn is_white_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// Contents never appear in logs.
impl std::fmt::Debug for Submit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Submit").field("id", &self.id).field("room", &self.room).finish_non_exhaustive()
    }
}

/// The ack of a `chat-message`: a promise. A repeat is acked with the first one's offset and timestamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub id: MessageId,
    /// Absent only from a node without a log (plain Pub/Sub).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
    /// Unix milliseconds when it was stored.
    pub timestamp: u64,
}

/// `chat-message` to a member of the room, the sender included.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    pub id: MessageId,
    pub room: Room,
    pub sender: UserId,
    pub content: String,
    /// Unix milliseconds when it was stored.
    pub timestamp: u64,
    /// Absent only from a node without a log (plain Pub/Sub).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
    /// Only when the trace is sampled.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "trace_parent::lenient")]
    pub traceparent: Option<TraceParent>,
}

impl std::fmt::Debug for ChatMessage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ChatMessage")
            .field("id", &self.id)
            .field("room", &self.room)
            .field("sender", &self.sender)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// `draining`: the node closes within this many milliseconds; whoever moves on before loses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draining {
    pub reconnect_within_ms: u64,
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
