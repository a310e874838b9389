//! Finished frames that the peer has not taken yet, in order.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::scratch;
use crate::transport::Transport;

/// A queue that was longer than this gives its memory back when it is empty.
const KEPT: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    frames: VecDeque<Bytes>,
    /// Bytes of the first frame that are on their way.
    sent: usize,
    /// Bytes of all frames that are not.
    waiting: usize,
}

impl Queue {
    pub(crate) fn push(&mut self, frame: Bytes) {
        self.waiting += frame.len();
        self.frames.push_back(frame);
    }

    pub(crate) fn append(&mut self, mut later: Queue) {
        debug_assert_eq!(later.sent, 0);
        self.waiting += later.waiting;
        self.frames.append(&mut later.frames);
    }

    /// Bytes that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Hands over as much as the stream takes, frames that wait together in one write. An error is final.
    pub(crate) fn poll_write(&mut self, stream: &dyn Transport, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.waiting > 0 {
            let taken = match &self.frames {
                one if one.len() == 1 => stream.poll_write(context, &one[0][self.sent..]),
                _ => scratch::with(|scratch| {
                    let together = self.gather(scratch);
                    stream.poll_write(context, &scratch[..together])
                }),
            };
            match ready!(taken)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.advance(taken),
            }
        }
        self.frames.clear();
        self.sent = 0;
        if self.frames.capacity() > KEPT {
            self.frames = VecDeque::new();
        }
        stream.poll_flush(context)
    }

    /// Copies what waits; the length is how much fitted.
    fn gather(&self, into: &mut [u8]) -> usize {
        let mut filled = 0;
        let mut skip = self.sent;
        for frame in &self.frames {
            let rest = &frame[skip..];
            let fits = rest.len().min(into.len() - filled);
            into[filled..filled + fits].copy_from_slice(&rest[..fits]);
            filled += fits;
            if fits < rest.len() {
                break;
            }
            skip = 0;
        }
        filled
    }

    fn advance(&mut self, taken: usize) {
        self.waiting -= taken;
        self.sent += taken;
        while let Some(first) = self.frames.front()
            && self.sent >= first.len()
        {
            self.sent -= first.len();
            self.frames.pop_front();
        }
    }
}
