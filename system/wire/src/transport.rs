//! The stream below: one that can be written from any thread, and read by one.
//!
//! A TCP stream can do that by itself and needs no waiting for a free kernel buffer. Everything else (TLS, pipes) is
//! put behind a lock.

use std::hint::black_box;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Linux's `MSG_NOSIGNAL`: a peer that is gone is an error, not the end of the process.
const NO_SIGNAL: i32 = 0x4000;

/// All of it as in tokio, by shared reference. Only one task at a time may wait for writing, and only one for reading.
pub trait Transport: Send + Sync + 'static {
    fn poll_read(&self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;

    /// Never pending because of tokio's cooperative budget while the stream takes bytes: a fan-out is one task.
    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads what writing begins with, for those who fetch several from memory together.
    fn fetch(&self) {}

    /// Says goodbye, when everything is written; nobody waits for it.
    fn shutdown(&self);

    /// Ends both directions at once.
    fn abort(&self);
}

impl Transport for TcpStream {
    fn poll_read(&self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_read_ready(context))?;
            match self.try_read(into.initialize_unfilled()) {
                Ok(read) => {
                    into.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Asks the kernel at once; tokio's own record of the socket is one more place in memory, and needed only by one who
    /// has to wait.
    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match SockRef::from(self).send_with_flags(bytes, NO_SIGNAL) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
        loop {
            match self.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.poll_write_ready(context))?,
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn fetch(&self) {
        black_box(self.as_raw_fd());
    }

    fn shutdown(&self) {
        // It may be gone already.
        let _ = SockRef::from(self).shutdown(std::net::Shutdown::Write);
    }

    fn abort(&self) {
        let _ = SockRef::from(self).shutdown(std::net::Shutdown::Both);
    }
}

/// Any other stream, for one at a time.
pub struct Locked<S>(Mutex<S>);

impl<S> Locked<S> {
    pub fn new(stream: S) -> Self {
        Locked(Mutex::new(stream))
    }

    fn lock(&self) -> MutexGuard<'_, S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for Locked<S> {
    fn poll_read(&self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(context, into)
    }

    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut stream = self.lock();
        let write = std::future::poll_fn(|context| Pin::new(&mut *stream).poll_write(context, bytes));
        let write = std::pin::pin!(tokio::task::coop::unconstrained(write));
        Future::poll(write, context)
    }

    fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.lock();
        let flush = std::future::poll_fn(|context| Pin::new(&mut *stream).poll_flush(context));
        let flush = std::pin::pin!(tokio::task::coop::unconstrained(flush));
        Future::poll(flush, context)
    }

    fn shutdown(&self) {
        let _ = Pin::new(&mut *self.lock()).poll_shutdown(&mut Context::from_waker(std::task::Waker::noop()));
    }

    /// The connection's reader and writer are told otherwise, and drop the stream.
    fn abort(&self) {}
}
