//! Engine.IO 4 and Socket.IO 5 as text: the little of both that a WebSocket client needs.
//!
//! Strict, because a frame that is read by guess could be a message lost by guess: whatever is malformed is an error,
//! and the connection that sent it ends. Nothing here panics, whatever comes in.

pub(crate) mod engine;
pub(crate) mod inbound;
pub(crate) mod socket;

/// A frame that breaks the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {detail}")]
pub(crate) struct Malformed {
    what: &'static str,
    detail: String,
}

impl Malformed {
    /// `found` is shown only at its start: a frame may hold what a user wrote.
    pub(crate) fn new(what: &'static str, found: &str) -> Self {
        Malformed { what, detail: found.chars().take(16).collect::<String>().escape_debug().to_string() }
    }

    /// Names fields and places; the one field that holds a user's words takes any string, so they are not quoted.
    pub(crate) fn json(what: &'static str, error: &serde_json::Error) -> Self {
        Malformed { what, detail: error.to_string() }
    }
}
