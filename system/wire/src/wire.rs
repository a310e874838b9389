//! The stream that a WebSocket server gets: it believes to own the connection.
//!
//! Reads go through a buffer of the thread, so that an idle connection has none. Writes take everything and wait for
//! nobody: whole frames go into the connection's queue, in order with the ready ones, and half a frame is held back.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::begun::Begun;
use crate::connection::Connection;
use crate::deflate::{Decoder, Peer};
use crate::scratch;
use crate::transport::Transport;

/// Small, because servers hold it several times over in the state of their tasks.
pub struct Wire<G = ()>(Box<Inner<G>>);

struct Inner<G> {
    connection: Arc<Connection>,
    transport: Arc<dyn Transport>,
    /// Read and not yet asked for.
    rest: Bytes,
    /// Makes plain what comes compressed.
    decoder: Option<Box<Decoder>>,
    /// Written and not yet whole: rare, and never with servers that write a frame at a time.
    begun: Option<Box<Begun>>,
    _guard: G,
}

impl<G> Wire<G> {
    pub(crate) fn new(connection: Arc<Connection>, transport: Arc<dyn Transport>, rest: Bytes, guard: G) -> Self {
        Wire(Box::new(Inner { connection, transport, rest, decoder: None, begun: None, _guard: guard }))
    }

    /// Compresses from now on, both ways, as was agreed with the peer; nothing was read or written yet. `limit`: bytes
    /// of a message inflated, which the server above should allow a frame. A larger message ends the connection.
    #[must_use]
    pub fn compressed(mut self, peer: Peer, limit: usize) -> Self {
        if peer.agreement().is_some() {
            let mut decoder = Decoder::new(limit);
            decoder.push(&std::mem::take(&mut self.0.rest));
            self.0.decoder = Some(Box::new(decoder));
            self.0.connection.compress_for(peer);
        }
        self
    }
}

impl<G> Inner<G> {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.connection.alive()?;
        if let Some(begun) = &mut self.begun {
            let Some(frame) = begun.take(&mut bytes, self.connection.limit())? else { return Ok(()) };
            self.connection.accept(frame)?;
            self.begun = None;
        }
        let mut begins = self.connection.accept(bytes)?;
        if !begins.is_empty() {
            self.begun.insert(Box::default()).take(&mut begins, self.connection.limit())?;
        }
        Ok(())
    }

    fn hand_over(&mut self, into: &mut ReadBuf<'_>) {
        let fits = self.rest.len().min(into.remaining());
        into.put_slice(&self.rest[..fits]);
        self.rest.advance(fits);
        if self.rest.is_empty() {
            self.rest = Bytes::new();
        }
    }
}

impl<G> AsyncRead for Wire<G> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self.get_mut().0;
        ready!(this.connection.poll_readable(context))?;
        if let Some(decoder) = &mut this.decoder {
            return poll_decoded(decoder, &this.connection, &*this.transport, context, into);
        }
        if !this.rest.is_empty() {
            this.hand_over(into);
            return Poll::Ready(Ok(()));
        }
        let transport = &this.transport;
        let rest = ready!(scratch::with(|scratch| {
            let mut scratch = ReadBuf::new(scratch);
            ready!(transport.poll_read(context, &mut scratch))?;
            let read = scratch.filled();
            let (now, later) = read.split_at(read.len().min(into.remaining()));
            into.put_slice(now);
            Poll::Ready(io::Result::Ok(if later.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(later) }))
        }))?;
        this.rest = rest;
        Poll::Ready(Ok(()))
    }
}

fn poll_decoded(
    decoder: &mut Decoder,
    connection: &Arc<Connection>,
    transport: &dyn Transport,
    context: &mut Context<'_>,
    into: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    loop {
        let read = decoder.read(into.initialize_unfilled()).map_err(|error| {
            connection.refuse(error);
            io::Error::new(io::ErrorKind::InvalidData, error)
        })?;
        if read > 0 {
            into.advance(read);
            return Poll::Ready(Ok(()));
        }
        let ended = ready!(scratch::with(|scratch| {
            let mut scratch = ReadBuf::new(scratch);
            ready!(transport.poll_read(context, &mut scratch))?;
            decoder.push(scratch.filled());
            Poll::Ready(io::Result::Ok(scratch.filled().is_empty()))
        }))?;
        if ended {
            return Poll::Ready(Ok(()));
        }
    }
}

impl<G> AsyncWrite for Wire<G> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.get_mut().0.write(bytes).map(|()| bytes.len()))
    }

    /// Whatever is whole was written already.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.connection.alive())
    }

    /// The drop does it, when everything is written.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl<G> Drop for Wire<G> {
    fn drop(&mut self) {
        self.0.connection.end();
    }
}
