//! Finished frames that the peer has not taken yet, in order.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};

use crate::scratch;
use crate::transport::Transport;

/// A queue that was longer than this gives its memory back when it is empty.
const KEPT: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// What is left of the first frame; in place, because most queues are never longer.
    first: Bytes,
    later: VecDeque<Bytes>,
    /// Bytes of all of them.
    waiting: usize,
}

impl Queue {
    pub(crate) fn push(&mut self, frame: Bytes) {
        self.waiting += frame.len();
        if self.first.is_empty() {
            self.first = frame;
        } else {
            self.later.push_back(frame);
        }
    }

    pub(crate) fn append(&mut self, later: Queue) {
        if later.waiting == 0 {
            return;
        }
        self.push(later.first);
        self.waiting += later.later.iter().map(Bytes::len).sum::<usize>();
        self.later.extend(later.later);
    }

    /// Bytes that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Hands over as much as the stream takes, frames that wait together in one write. An error is final.
    pub(crate) fn poll_write(&mut self, stream: &dyn Transport, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.waiting > 0 {
            let taken = if self.later.is_empty() {
                stream.poll_write(context, &self.first)
            } else {
                scratch::with(|scratch| {
                    let together = self.gather(scratch);
                    stream.poll_write(context, &scratch[..together])
                })
            };
            match ready!(taken)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.advance(taken),
            }
        }
        self.first = Bytes::new();
        if self.later.capacity() > KEPT {
            self.later = VecDeque::new();
        }
        stream.poll_flush(context)
    }

    /// Copies what waits; the length is how much fitted.
    fn gather(&self, into: &mut [u8]) -> usize {
        let mut filled = 0;
        for frame in std::iter::once(&self.first).chain(&self.later) {
            let fits = frame.len().min(into.len() - filled);
            into[filled..filled + fits].copy_from_slice(&frame[..fits]);
            filled += fits;
            if fits < frame.len() {
                break;
            }
        }
        filled
    }

    fn advance(&mut self, mut taken: usize) {
        self.waiting -= taken;
        while taken >= self.first.len() {
            taken -= self.first.len();
            let Some(next) = self.later.pop_front() else { return };
            self.first = next;
        }
        self.first.advance(taken);
    }
}
