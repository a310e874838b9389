//! What a room's stream holds.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use system_protocol::{ChatMessage, MessageId, Offset, Room, TraceParent, UserId};

use crate::names;

/// One stored message, shared by everybody who gets it.
pub struct Entry {
    pub room: Room,
    pub offset: Offset,
    pub id: MessageId,
    pub sender: UserId,
    pub content: String,
    pub traceparent: Option<TraceParent>,
    mark: [u8; 8],
    frame: OnceLock<Bytes>,
}

impl Entry {
    pub(crate) fn new(
        room: Room,
        offset: Offset,
        sender: UserId,
        id: MessageId,
        content: String,
        traceparent: Option<TraceParent>,
    ) -> Self {
        let mark = names::mark(&names::message_hash(&room, &sender, &id));
        Entry { room, offset, id, sender, content, traceparent, mark, frame: OnceLock::new() }
    }

    /// What goes on the wire.
    pub fn message(&self) -> ChatMessage {
        ChatMessage {
            id: self.id.clone(),
            room: self.room.clone(),
            sender: self.sender.clone(),
            content: self.content.clone(),
            timestamp: self.offset.ms(),
            offset: Some(self.offset),
            traceparent: self.traceparent.filter(|trace| trace.sampled()),
        }
    }

    /// The encoded frame, made once however many members there are.
    pub fn frame(&self, encode: impl FnOnce(&Entry) -> Bytes) -> &Bytes {
        self.frame.get_or_init(|| encode(self))
    }

    /// Eight bytes that tell this message from another under the same offset.
    pub(crate) fn mark(&self) -> [u8; 8] {
        self.mark
    }
}

/// Contents never appear in logs.
impl fmt::Debug for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Entry")
            .field("room", &self.room)
            .field("offset", &self.offset)
            .field("id", &self.id)
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}

/// One place of a stream: a message, or the birth entry that anchors the room and is never delivered.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) offset: Offset,
    pub(crate) message: Option<Arc<Entry>>,
}

impl Item {
    /// Zeros for the birth entry.
    pub(crate) fn mark(&self) -> [u8; 8] {
        self.message.as_ref().map_or([0; 8], |entry| entry.mark())
    }
}
