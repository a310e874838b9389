//! The deflate stream of a room: what a member's window must hold to read its next message, and what it holds then.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::Deflate;
use super::codec::Compressor;
use crate::header::{Header, LONGEST, RSV1};

/// Plain bytes between two fresh starts.
pub(super) const EPOCH: usize = 64 * 1024;

/// What an inflater's window holds: the first `messages` of an epoch. No two epochs of a process have the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) epoch: u64,
    pub(super) messages: u64,
}

pub(super) struct Stream {
    pub(super) window_bits: u8,
    compressor: Compressor,
    pub(super) place: Place,
    /// Plain bytes of this epoch.
    pub(super) fed: usize,
    deflate: Arc<Deflate>,
}

/// A message of the stream.
#[derive(Clone)]
pub(super) struct Fed {
    pub(super) frame: Bytes,
    pub(super) before: Place,
    pub(super) after: Place,
}

impl Place {
    /// A window that holds anything at all will do: nothing is referred to.
    pub(super) fn is_fresh(self) -> bool {
        self.messages == 0
    }
}

impl Stream {
    /// `None` when there are as many as there may be.
    pub(super) fn new(deflate: &Arc<Deflate>, window_bits: u8) -> Option<Self> {
        let most = deflate.settings.streams;
        let more = |streams| (streams < most).then_some(streams + 1);
        deflate.streams.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        let compressor = Compressor::new(window_bits);
        let place = next_epoch(deflate);
        Some(Stream { window_bits, compressor, place, fed: 0, deflate: Arc::clone(deflate) })
    }

    pub(super) fn begin_epoch(&mut self) {
        self.compressor.reset();
        self.place = next_epoch(&self.deflate);
        self.fed = 0;
    }

    /// The next message. What was fed goes out, even when it is longer than plain: it is in the context now.
    pub(super) fn feed(&mut self, first: u8, payload: &[u8]) -> Fed {
        self.deflate.counts.shared.fetch_add(1, Ordering::Relaxed);
        let frame = compressed(first, |out| self.compressor.message(payload, out));
        let before = self.place;
        self.place.messages += 1;
        self.fed += payload.len();
        Fed { frame, before, after: self.place }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.deflate.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

fn next_epoch(deflate: &Deflate) -> Place {
    Place { epoch: deflate.counts.epochs.fetch_add(1, Ordering::Relaxed), messages: 0 }
}

/// A finished frame of what `compress` appends.
pub(super) fn compressed(first: u8, compress: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = vec![0; LONGEST];
    compress(&mut out);
    let mut header = Vec::with_capacity(LONGEST);
    Header { first: first | RSV1, mask: None, length: (out.len() - LONGEST) as u64 }.write(&mut header);
    let start = LONGEST - header.len();
    out[start..LONGEST].copy_from_slice(&header);
    Bytes::from(out).slice(start..)
}
