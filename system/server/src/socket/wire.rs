//! What stands between socketioxide and the socket: a stream that can be cut from outside, that gives up on a peer
//! which takes no bytes, that reads no faster than requests are worked off, and that completes what socketioxide cannot say (a CONNECT_ERROR with `data`).
//!
//! Writes are all or nothing towards tungstenite: it hands over whole frames, what the kernel does not take at once is
//! kept here, so that every write begins at a frame's first byte. Deliberately absent until `system/wire`: ready
//! frames, compression, batching.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::connect_error;
use super::link::Link;

pub(crate) struct Wire<S> {
    stream: S,
    link: Arc<Link>,
    /// Accepted from tungstenite and not yet taken by the kernel, from `sent` on.
    kept: Vec<u8>,
    sent: usize,
    patience: Duration,
    /// Running while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Wire<S> {
    /// `patience`: how long the peer may take no bytes at all while some wait for it.
    pub(super) fn new(stream: S, link: Arc<Link>, patience: Duration) -> Self {
        Wire { stream, link, kept: Vec::new(), sent: 0, patience, stalled: None }
    }

    fn alive(&self) -> io::Result<()> {
        if self.link.is_cut() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// The peer took nothing: time runs, and when it is over the connection is.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + patience)));
        ready!(stalled.as_mut().poll(context));
        self.link.cut();
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// One write to the kernel; an error is final.
    fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(done) => {
                self.stalled = None;
                Poll::Ready(done)
            }
            Poll::Pending => self.poll_patience(context).map(Err),
        }
    }

    fn poll_kept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.kept.len() {
            let kept = std::mem::take(&mut self.kept);
            let taken = self.poll_send(context, &kept[self.sent..]);
            self.kept = kept;
            self.sent += ready!(taken)?;
        }
        self.kept.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.link.reader.register(context.waker());
        this.alive()?;
        if this.link.overrun() {
            return Poll::Pending;
        }
        Pin::new(&mut this.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, frames: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.link.writer.register(context.waker());
        this.alive()?;
        ready!(this.poll_kept(context))?;
        if let Some(completed) = connect_error::complete(frames) {
            this.kept = completed;
            return Poll::Ready(Ok(frames.len()));
        }
        let taken = ready!(this.poll_send(context, frames))?;
        this.kept.extend_from_slice(&frames[taken..]);
        Poll::Ready(Ok(frames.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.link.writer.register(context.waker());
        this.alive()?;
        ready!(this.poll_kept(context))?;
        ready!(Pin::new(&mut this.stream).poll_flush(context))?;
        this.link.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.link.writer.register(context.waker());
        if !this.link.is_cut() {
            ready!(this.poll_kept(context))?;
        }
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

impl<S> Drop for Wire<S> {
    fn drop(&mut self) {
        self.link.close();
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
