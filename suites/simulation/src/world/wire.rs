//! What clients and nodes say to each other here: docs/contract.md's events as values, without Socket.IO around them.

use system_protocol::{ChatMessage, Joined, Left, MessageId, Offset, Room};

#[derive(Debug)]
pub enum ToNode {
    Join { room: Room, offset: Option<Offset> },
    Leave { room: Room },
    Submit { room: Room, id: MessageId, content: String },
    Ping,
}

#[derive(Debug)]
pub enum ToClient {
    Joined(Joined),
    JoinRefused { room: Room, code: String },
    Message { message: Box<ChatMessage>, replay: bool },
    Acked { id: MessageId, offset: Offset },
    Refused { id: MessageId, code: String },
    Left(Left),
    Pong,
}
