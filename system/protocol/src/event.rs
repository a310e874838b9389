//! Names of the Socket.IO events, in both directions.

/// A message of a room: submitted by a client (with an ack), delivered by a node.
pub const CHAT_MESSAGE: &str = "chat-message";
/// A client asks to enter a room; answered by ack.
pub const JOIN: &str = "join";
/// A client leaves a room; answered by ack.
pub const LEAVE: &str = "leave";
/// The node's word that the room of CONNECT was joined; comes before any message of that room.
pub const JOINED: &str = "joined";
/// A refusal, sent also when no ack was asked for.
pub const ERROR: &str = "error";
/// The node is about to go; the client should move on.
pub const DRAINING: &str = "draining";
