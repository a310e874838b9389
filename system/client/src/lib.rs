//! The chat client: it never gives up a message silently and never shows one twice.
//!
//! [`Client::start`] gives a handle and a stream of [`Event`]s. Messages wait in a bounded queue, keep the id that was
//! chosen before the first send, and are sent again with it after a timeout or a reconnect, one in flight per room.
//! Rooms are joined again where the client was: at the offset of the last message that it *received*. One task drives
//! one socket; several rooms share it.
//!
//! Place in the flow: user or load generator → `Client` → session (what to say; no I/O) → link (WebSocket, and a
//! [`Dialect`] where the node speaks another language) → node.
//!
//! Deliberately absent: HTTP long polling, binary attachments, other namespaces, storage of the queue on disk.

mod backoff;
mod client;
mod config;
mod dialect;
mod event;
mod link;
mod outbox;
mod run;
mod session;
mod wire;

pub use client::{Client, Ids, uuids};
pub use config::{Config, ConfigError, Node};
pub use dialect::{Dialect, Frames, Translator};
pub use event::{Event, Notice, Unresolved, What, Why};
pub use outbox::Queue;
