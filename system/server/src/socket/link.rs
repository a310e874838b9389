//! The handle of one transport: what others may know of it and do to it while socketioxide owns the stream.
//!
//! socketioxide notices some deaths late (a peer that stops reading holds its writer for as long as the kernel lets
//! it), and its disconnect handler may then never run. So the end of a session hangs on this handle: it ends when the
//! stream is dropped, and [`Link::cut`] makes the stream end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::task::AtomicWaker;
use tokio::sync::{Notify, watch};

#[derive(Debug)]
pub(crate) struct Link {
    cut: AtomicBool,
    pub(super) reader: AtomicWaker,
    pub(super) writer: AtomicWaker,
    closed: watch::Sender<bool>,
    /// Packets queued since the stream was last flushed to its end; an upper bound of what still waits.
    waiting: AtomicUsize,
    flushed: Notify,
    /// Requests read and not yet worked off.
    requests: AtomicUsize,
}

/// So many requests may wait for a session before its stream is read no further: the client's own kernel then holds
/// back the rest.
const REQUESTS: usize = 512;

impl Link {
    pub(crate) fn new() -> Self {
        Link {
            cut: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
            closed: watch::Sender::new(false),
            waiting: AtomicUsize::new(0),
            flushed: Notify::new(),
            requests: AtomicUsize::new(0),
        }
    }

    /// Ends the connection now, without a word to the peer and without waiting for it.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.reader.wake();
        self.writer.wake();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Returns when the stream is gone.
    pub(crate) async fn closed(&self) {
        // The sender is here, so that this cannot fail.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    pub(super) fn close(&self) {
        self.closed.send_replace(true);
        self.flushed.notify_waiters();
    }

    pub(super) fn requested(&self) {
        self.requests.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn handled(&self) {
        if self.requests.fetch_sub(1, Ordering::AcqRel) == REQUESTS {
            self.reader.wake();
        }
    }

    /// Asked after the reader was registered, so that no wake is missed.
    pub(super) fn overrun(&self) -> bool {
        self.requests.load(Ordering::Acquire) >= REQUESTS
    }

    pub(crate) fn queued(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn flushed(&self) {
        self.waiting.store(0, Ordering::Relaxed);
        self.flushed.notify_waiters();
    }

    /// Returns when fewer than `limit` packets wait, or the stream is gone.
    pub(crate) async fn below(&self, limit: usize) {
        loop {
            let flushed = self.flushed.notified();
            if self.waiting() < limit || *self.closed.borrow() || self.is_cut() {
                return;
            }
            flushed.await;
        }
    }
}
