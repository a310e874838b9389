//! The other side: one that notes every write, and one that is a real pipe.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use system_wire::deflate::{self, Deflate};
use system_wire::{Batch, Connection, Locked, Passage, Room, Settings, Transport, Wire, frame};
use tokio::io::{AsyncReadExt, DuplexStream, ReadBuf};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const LIMIT: usize = 10_000;
/// Far above what anything here takes, so that only what never comes fails.
const DEADLINE: Duration = Duration::from_mins(1);

/// What never comes is told by its name.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(DEADLINE, future).await;
    done.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"))
}

/// Socket.IO's answer to CONNECT opens, as in every server.
pub(crate) fn settings() -> Settings {
    let inspect = |payload: &[u8]| match payload {
        b"refused" => Passage::Instead("refused, and why".to_owned()),
        opens if opens.starts_with(b"40{") => Passage::Opens,
        _ => Passage::Pass,
    };
    Settings { limit: LIMIT, patience: PATIENCE, requests: 4, inspect }
}

pub(crate) fn room() -> Arc<Room> {
    Room::new(Batch::new(), Deflate::new(deflate::Settings::default()).room())
}

/// A connection over a pipe that holds `room` bytes.
pub(crate) fn piped(room: usize) -> (Arc<Connection>, Wire, DuplexStream) {
    let (near, far) = tokio::io::duplex(room);
    let (connection, wire) = Connection::new(Arc::new(Locked::new(near)), Bytes::new(), settings(), ());
    (connection, wire, far)
}

pub(crate) fn text(number: usize) -> Bytes {
    frame::text(&number.to_string())
}

/// Everything that a pipe brings until its end, as the payloads of its frames.
pub(crate) async fn payloads(mut far: DuplexStream) -> Vec<String> {
    let mut bytes = Vec::new();
    within("the end of the stream", far.read_to_end(&mut bytes)).await.unwrap();
    split(&bytes)
}

pub(crate) fn split(bytes: &[u8]) -> Vec<String> {
    let (mut rest, mut found) = (bytes, Vec::new());
    while let Some((frame, after)) = frame::split(rest) {
        found.push(String::from_utf8(frame.payload.to_vec()).unwrap());
        rest = after;
    }
    assert!(rest.is_empty(), "the stream ends within a frame: {rest:?}");
    found
}

/// To whom, and which payloads.
pub(crate) type Write = (&'static str, Vec<String>);

/// Notes each write, of itself and its like, in one list; takes everything.
#[derive(Clone, Default)]
pub(crate) struct Noting {
    name: &'static str,
    writes: Arc<Mutex<Vec<Write>>>,
    aborted: Arc<Mutex<bool>>,
}

impl Noting {
    pub(crate) fn named(name: &'static str) -> Noting {
        Noting { name, ..Noting::default() }
    }

    /// One with the same list.
    pub(crate) fn like(&self, name: &'static str) -> Noting {
        Noting { name, writes: Arc::clone(&self.writes), ..Noting::default() }
    }

    pub(crate) fn connect(&self) -> (Arc<Connection>, Wire) {
        Connection::new(Arc::new(self.clone()), Bytes::new(), settings(), ())
    }

    pub(crate) fn aborted(&self) -> bool {
        *self.aborted.lock().unwrap()
    }

    pub(crate) fn writes(&self) -> Vec<Write> {
        self.writes.lock().unwrap().clone()
    }
}

impl Transport for Noting {
    fn poll_read(&self, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_write(&self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.lock().unwrap().push((self.name, split(bytes)));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn shutdown(&self) {}

    fn abort(&self) {
        *self.aborted.lock().unwrap() = true;
    }
}
