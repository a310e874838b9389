//! The delay line of one direction of one connection: bytes in the order they came, with the time when each came.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use tokio::time::Instant;

use super::{LinkState, wire::Wire};

/// More than this is not taken from a source, which then finds its socket full as it would on a slow network.
const HELD_AT_MOST: usize = 16 << 20;

pub(super) struct Line {
    wire: Arc<Wire>,
    held: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl Line {
    pub(super) fn new(wire: Arc<Wire>) -> Line {
        Line { wire, held: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes < HELD_AT_MOST
    }

    pub(super) fn hold(&mut self, bytes: &[u8], state: LinkState) {
        if state.cut {
            self.wire.withheld.fetch_add(bytes.len() as u64, Relaxed);
        }
        self.bytes += bytes.len();
        self.wire.held.fetch_add(bytes.len() as u64, Relaxed);
        self.held.push_back((Instant::now(), bytes.to_vec()));
    }

    /// When the first bytes may leave; never while cut.
    pub(super) fn due(&self, state: LinkState) -> Option<Instant> {
        self.held.front().filter(|_| !state.cut).map(|(came, _)| *came + state.delay)
    }

    pub(super) fn release(&mut self) -> Vec<u8> {
        let bytes = self.held.pop_front().map(|(_, bytes)| bytes).unwrap_or_default();
        self.bytes -= bytes.len();
        self.wire.held.fetch_sub(bytes.len() as u64, Relaxed);
        bytes
    }

    pub(super) fn drop_all(&mut self) {
        self.wire.dropped.fetch_add(self.bytes as u64, Relaxed);
        self.wire.held.fetch_sub(self.bytes as u64, Relaxed);
        self.held.clear();
        self.bytes = 0;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.drop_all();
    }
}
