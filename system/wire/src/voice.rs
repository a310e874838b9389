//! Who may speak on a connection: a session, whose end may come before that of the connection it is on.

use std::sync::Arc;

use bytes::Bytes;

use crate::batch::Batch;
use crate::connection::Connection;
use crate::deflate::Broadcast;
use crate::out::{Closed, alone};

/// Of [`Connection::voice`]. Its frames are queued as long as neither it nor the connection is over.
#[derive(Clone)]
pub struct Voice {
    pub(crate) connection: Arc<Connection>,
    pub(crate) number: u32,
}

impl Voice {
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Nothing is queued any more, neither from this voice nor from an earlier one; what was queued still leaves.
    pub fn end(&self) {
        self.connection.silence(self.number);
    }

    /// Returns when it has ended, or the server has dropped its stream.
    pub fn ended(&self) -> impl Future<Output = ()> {
        let number = self.number;
        self.connection.until(move |out| out.ended || number <= out.silenced)
    }

    /// As [`Connection::send`].
    pub fn send(&self, frame: Bytes) -> Result<usize, Closed> {
        self.connection.send_as(Some(self.number), frame)
    }

    /// As [`Connection::push`].
    pub fn push(&self, frame: Bytes, batch: &Arc<Batch>) -> Result<usize, Closed> {
        self.connection.push_as(Some(self.number), batch, |peer| alone(peer, frame))
    }

    /// As [`Connection::push_broadcast`].
    pub fn push_broadcast(&self, message: &Broadcast, batch: &Arc<Batch>) -> Result<usize, Closed> {
        self.connection.push_as(Some(self.number), batch, |peer| message.frame(peer))
    }
}
