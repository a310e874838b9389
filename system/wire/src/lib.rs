//! How do bytes leave a node? The stream layer under a WebSocket server: frames that are encoded once for all members
//! of a room, and compression that is paid once per broadcast.
//!
//! [`Connection::new`] makes two things of a [`Transport`]: a [`Wire`], which the server takes for its stream, and a
//! [`Connection`], through which others write finished [`frame`]s beside the server's own. Both end up in one queue, so
//! frames never interleave and nothing overtakes. [`Connection::push`] leaves the write to a [`Batch`];
//! [`Connection::send`] writes at once, which is for answers. A [`Room`] pushes to everybody in it.
//!
//! What is needed of the server: it takes any stream of tokio's (the handshake is over), writes unmasked frames, each
//! message in one, and drops the stream at the end. It may write a frame in any pieces: half a frame is held until it
//! is whole, and one that is larger than [`Settings::limit`] is an error. Tungstenite, soketto and fastwebsockets do
//! so; one that cuts messages into fragments would find ready frames between them.
//!
//! Deliberately absent: Socket.IO, rooms with a history, anything that knows what a message says.

mod batch;
mod begun;
mod connection;
pub mod deflate;
mod drain;
pub mod frame;
mod header;
mod judge;
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
