//! How do bytes leave a node? The stream layer under a WebSocket server: frames that are encoded once for all members
//! of a room, and compression that is paid once per broadcast.
//!
//! [`Connection::new`] makes two things of a [`Transport`]: a [`Wire`], which the server takes for its stream, and a
//! [`Connection`], through which others write finished [`frame`]s beside the server's own. Both end up in one queue, so
//! frames never interleave and nothing overtakes. [`Connection::push`] leaves the write to a [`Batch`];
//! [`Connection::send`] writes at once, which is for answers. A [`Room`] pushes to everybody in it.
//!
//! Deliberately absent: Socket.IO, rooms with a history, anything that knows what a message says.

mod batch;
mod connection;
pub mod deflate;
mod drain;
pub mod frame;
mod out;
mod queue;
mod room;
mod scratch;
mod transport;
pub mod upgrade;
mod voice;
mod wire;

pub use batch::Batch;
pub use connection::{Connection, Passage, Settings};
pub use out::{Closed, Cut};
pub use room::{Key, Room};
pub use transport::{Locked, Transport};
pub use voice::Voice;
pub use wire::Wire;
