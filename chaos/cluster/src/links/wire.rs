//! One link at work: its state, which every relay on it watches, and its counters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::watch;

use super::{Carried, LinkState};

pub(super) struct Wire {
    state: watch::Sender<LinkState>,
    pub(super) passed: AtomicU64,
    pub(super) delayed: AtomicU64,
    pub(super) withheld: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) held: AtomicU64,
    pub(super) refused: AtomicU64,
}

impl Default for Wire {
    fn default() -> Wire {
        Wire {
            state: watch::Sender::new(LinkState::CLEAR),
            passed: AtomicU64::default(),
            delayed: AtomicU64::default(),
            withheld: AtomicU64::default(),
            dropped: AtomicU64::default(),
            held: AtomicU64::default(),
            refused: AtomicU64::default(),
        }
    }
}

impl Wire {
    pub(super) fn set(&self, state: LinkState) {
        self.state.send_replace(state);
    }

    pub(super) fn state(&self) -> LinkState {
        *self.state.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    pub(super) fn carried(&self) -> Carried {
        Carried {
            passed: self.passed.load(Relaxed),
            delayed: self.delayed.load(Relaxed),
            withheld: self.withheld.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            held: self.held.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }

    /// `held` stays: it is a level, not a count.
    pub(super) fn forget(&self) {
        for count in [&self.passed, &self.delayed, &self.withheld, &self.dropped, &self.refused] {
            count.store(0, Relaxed);
        }
    }
}
