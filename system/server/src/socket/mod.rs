//! From a handshake to the end of a session.
//!
//! [`gate`] answers the handshake and puts `system-wire` between the stream and socketioxide, which speaks Engine.IO and
//! Socket.IO on it; [`connect`] lets a client in and registers every handler before the first await; each request is
//! pushed by [`intake`], in the reader, into the queue of its [`session`], which one task works off in order; what goes
//! back passes the [`outbox`] as finished frames, which never lets anything follow a packet that was lost, and what goes
//! to a whole room is made once, as a [`broadcast`].

mod broadcast;
mod conduct;
mod connect;
mod connect_error;
pub(crate) mod gate;
mod intake;
mod outbox;
mod places;
mod session;

pub(crate) use broadcast::Broadcasts;
pub(crate) use conduct::JoinRate;
pub(crate) use connect::handler;
pub(crate) use outbox::{Outbox, event_frame};
