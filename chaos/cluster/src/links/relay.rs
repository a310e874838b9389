//! One direction of one connection: read, hold as long as the link says, write.

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{LinkState, line::Line, lives::Life, wire::Wire};

const CHUNK: usize = 32 << 10;

pub(super) struct Relay {
    wire: Arc<Wire>,
    state: watch::Receiver<LinkState>,
    line: Line,
    life: Life,
    /// When the source closed; the destination is told as much later as bytes would arrive.
    closed: Option<Instant>,
}

/// What happened next.
enum Next {
    SourceDied,
    LinkChanged,
    BytesDue,
    EndDue,
    Came(usize),
    SourceClosed,
}

impl Relay {
    pub(super) fn new(wire: Arc<Wire>, life: Life) -> Relay {
        Relay { state: wire.watch(), line: Line::new(wire.clone()), wire, life, closed: None }
    }

    /// Until the source has closed and everything is delivered or dropped, or the destination takes no more.
    pub(super) async fn run(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; CHUNK];
        while let Ok(open) = self.step(&mut from, &mut to, &mut buffer).await {
            if !open {
                let _ = to.shutdown().await;
                return;
            }
        }
    }

    async fn step(&mut self, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, buffer: &mut [u8]) -> io::Result<bool> {
        let state = *self.state.borrow_and_update();
        match self.next(state, from, buffer).await {
            Next::LinkChanged => {}
            // Through a clear link the kernel brings what the dead sent, to its end.
            Next::SourceDied if state == LinkState::CLEAR => self.line.drop_all(),
            Next::SourceDied => self.source_died(),
            Next::SourceClosed => self.closed = Some(Instant::now()),
            Next::EndDue => return Ok(false),
            Next::Came(length) if state == LinkState::CLEAR && self.line.is_empty() => {
                self.pass(&buffer[..length], false, to).await?;
            }
            Next::Came(length) => self.line.hold(&buffer[..length], state),
            Next::BytesDue if self.closed.is_some() && self.life.is_over() => self.source_died(),
            Next::BytesDue => {
                let bytes = self.line.release();
                self.pass(&bytes, true, to).await?;
            }
        }
        Ok(true)
    }

    async fn next(&mut self, state: LinkState, from: &mut OwnedReadHalf, buffer: &mut [u8]) -> Next {
        let due = self.line.due(state);
        let end = self.closed.filter(|_| self.line.is_empty() && !state.cut).map(|closed| closed + state.delay);
        let open = self.closed.is_none();
        tokio::select! { biased;
            () = self.life.ended(), if open || !self.line.is_empty() => Next::SourceDied,
            changed = self.state.changed() => match changed {
                Ok(()) => Next::LinkChanged,
                Err(_) => Next::EndDue,
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Next::BytesDue,
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => Next::EndDue,
            read = from.read(buffer), if open && self.line.has_room() => match read {
                Ok(0) | Err(_) => Next::SourceClosed,
                Ok(length) => Next::Came(length),
            },
        }
    }

    /// The network lost what was still under way, and there is nobody to send it again.
    fn source_died(&mut self) {
        self.line.drop_all();
        self.closed.get_or_insert_with(Instant::now);
    }

    /// Gives up when the source dies while the destination takes nothing.
    async fn pass(&mut self, bytes: &[u8], late: bool, to: &mut OwnedWriteHalf) -> io::Result<()> {
        let length = bytes.len() as u64;
        let written = tokio::select! { biased;
            written = to.write_all(bytes) => written,
            () = self.life.ended() => Err(io::ErrorKind::ConnectionAborted.into()),
        };
        let counter = if written.is_ok() { &self.wire.passed } else { &self.wire.dropped };
        counter.fetch_add(length, Relaxed);
        if written.is_ok() && late {
            self.wire.delayed.fetch_add(length, Relaxed);
        }
        written
    }
}
