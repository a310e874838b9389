//! A connection in bytes, as a chat node or a Redis client sees it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pipe::Got;
use super::{Receiver, Sender};

pub struct Stream {
    to: Sender<Bytes>,
    from: Receiver<Bytes>,
    rest: Bytes,
}

impl Stream {
    pub(super) fn new(to: Sender<Bytes>, from: Receiver<Bytes>) -> Stream {
        Stream { to, from, rest: Bytes::new() }
    }

    /// The two directions apart, for a server that answers from several places.
    pub fn split(self) -> (Sender<Bytes>, Receiver<Bytes>) {
        (self.to, self.from)
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            match self.from.poll_recv(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Got::End) => return Poll::Ready(Ok(())),
                Poll::Ready(Got::Chunk(chunk)) => self.rest = chunk,
            }
        }
        let length = self.rest.len().min(into.remaining());
        into.put_slice(&self.rest[..length]);
        self.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.to.send(Bytes::copy_from_slice(from));
        Poll::Ready(Ok(from.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.to.close();
        Poll::Ready(Ok(()))
    }
}
