//! The stream that a WebSocket server gets: it believes to own the connection.
//!
//! Reads go through a buffer of the thread, so that an idle connection has none. Writes take everything and wait for
//! nobody: whole frames go into the connection's queue, in order with the ready ones, and half a frame is held back.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::begun::Begun;
use crate::connection::Connection;
use crate::deflate::{DecodeError, Decoder, Peer};
use crate::judge::Judge;
use crate::scratch;
use crate::transport::Transport;

/// Small, because servers hold it several times over in the state of their tasks.
pub struct Wire<G = ()>(Box<Inner<G>>);

struct Inner<G> {
    connection: Arc<Connection>,
    transport: Arc<dyn Transport>,
    /// What is under way from the peer. `None` between messages, so that an idle connection has none.
    incoming: Option<Box<Incoming>>,
    /// Bytes that a message of the peer's may have; 0: its frames are not looked at.
    largest: usize,
    /// Makes plain what comes compressed.
    decoder: Option<Box<Decoder>>,
    /// Written and not yet whole: rare, and never with servers that write a frame at a time.
    begun: Option<Box<Begun>>,
    _guard: G,
}

#[derive(Default)]
struct Incoming {
    /// Read and not yet asked for.
    rest: Bytes,
    judge: Judge,
}

impl<G> Wire<G> {
    pub(crate) fn new(connection: Arc<Connection>, transport: Arc<dyn Transport>, rest: Bytes, guard: G) -> Self {
        let incoming = Incoming { rest, judge: Judge::default() }.kept();
        Wire(Box::new(Inner { connection, transport, incoming, largest: 0, decoder: None, begun: None, _guard: guard }))
    }

    /// Compresses from now on, both ways, if that was agreed with the peer; nothing was read or written yet. `limit`:
    /// bytes of a message, inflated too, which the server above should allow a frame. A larger message and a frame that
    /// breaks the protocol end the connection, with their status.
    #[must_use]
    pub fn compressed(mut self, peer: Peer, limit: usize) -> Self {
        self.0.largest = limit;
        if peer.agreement().is_some() {
            let mut decoder = Decoder::new(limit);
            decoder.push(&self.0.incoming.take().map_or_else(Bytes::new, |incoming| incoming.rest));
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

    fn poll_judged(
        &mut self,
        incoming: &mut Incoming,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        if incoming.judge.fault().is_none() {
            ready!(match &mut self.decoder {
                Some(decoder) => poll_decoded(decoder, &self.connection, &*self.transport, context, into),
                None => poll_plain(&mut incoming.rest, &*self.transport, context, into),
            })?;
        }
        if self.largest > 0 {
            let passed = incoming.judge.pass(&into.filled()[before..], self.largest);
            into.set_filled(before + passed);
            if let Some(fault) = incoming.judge.fault().filter(|_| passed == 0) {
                return Poll::Ready(Err(refused(&self.connection, fault)));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Incoming {
    /// What of it must outlast a read.
    fn kept(self) -> Option<Box<Incoming>> {
        (!self.rest.is_empty() || !self.judge.is_idle()).then(|| Box::new(self))
    }
}

impl<G> AsyncRead for Wire<G> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self.get_mut().0;
        ready!(this.connection.poll_readable(context))?;
        let mut incoming = this.incoming.take().map_or_else(Incoming::default, |incoming| *incoming);
        let read = this.poll_judged(&mut incoming, context, into);
        this.incoming = incoming.kept();
        read
    }
}

fn poll_plain(
    rest: &mut Bytes,
    transport: &dyn Transport,
    context: &mut Context<'_>,
    into: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    if !rest.is_empty() {
        let now = rest.split_to(rest.len().min(into.remaining()));
        into.put_slice(&now);
        return Poll::Ready(Ok(()));
    }
    scratch::with(|scratch| {
        let mut scratch = ReadBuf::new(scratch);
        ready!(transport.poll_read(context, &mut scratch))?;
        let read = scratch.filled();
        let (now, later) = read.split_at(read.len().min(into.remaining()));
        into.put_slice(now);
        if !later.is_empty() {
            *rest = Bytes::copy_from_slice(later);
        }
        Poll::Ready(Ok(()))
    })
}

fn poll_decoded(
    decoder: &mut Decoder,
    connection: &Arc<Connection>,
    transport: &dyn Transport,
    context: &mut Context<'_>,
    into: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    loop {
        let read = decoder.read(into.initialize_unfilled()).map_err(|error| refused(connection, error))?;
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

/// The peer is told why, and the server that there is nothing more to read.
fn refused(connection: &Arc<Connection>, error: DecodeError) -> io::Error {
    connection.close(error.close_code(), "");
    io::Error::new(io::ErrorKind::InvalidData, error)
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
