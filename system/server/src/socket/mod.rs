//! From a handshake to the end of a session.
//!
//! [`gate`] answers the handshake and makes the stream a [`wire`]; socketioxide speaks Engine.IO and Socket.IO on it;
//! [`connect`] lets a client in and registers every handler before the first await; each request is pushed by
//! [`intake`], in the reader, into the queue of its [`session`], which one task works off in order; what goes back
//! passes the [`outbox`], which never lets anything follow a packet that was lost.

mod connect;
mod connect_error;
pub(crate) mod gate;
mod intake;
mod link;
mod outbox;
mod session;
mod wire;

pub(crate) use connect::handler;
pub(crate) use outbox::Outbox;
