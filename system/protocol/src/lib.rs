//! What do clients and nodes say to each other? The types of the wire, and the rules that a payload must satisfy.
//!
//! Everything that a client sends enters a node through a `parse` here ([`Auth`], [`Submit`], [`Join`], [`Leave`]),
//! and becomes either a value that is valid by its type or a [`Refusal`] that names the field. What a node says back
//! is built from [`Joined`], [`Sent`], [`Left`], [`ChatMessage`] and [`Refusal`], which a client reads by serde.
//!
//! Deliberately absent: input and output, clocks, randomness, and the Socket.IO framing itself. The server and the
//! client bring their own, so that this crate can be tested and fuzzed alone.

mod answer;
mod auth;
mod fields;
mod membership;
mod message;
mod name;
mod offset;
mod refusal;
mod trace_parent;

pub mod event;
pub mod limits;

pub use answer::{Unreadable, read_answer};
pub use auth::Auth;
pub use membership::{Join, Joined, Leave, Left};
pub use message::{ChatMessage, Draining, Sent, Submit};
pub use name::{MessageId, Room, UserId};
pub use offset::{Offset, OffsetError};
pub use refusal::{Code, Refusal};
pub use trace_parent::{TraceParent, TraceParentError};
