//! What all sessions of a node share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::auth::Authenticator;
use crate::phase::Life;
use crate::socket::Broadcasts;
use crate::telemetry::Metrics;

pub(crate) struct Chat<B> {
    pub(crate) backend: B,
    pub(crate) auth: Authenticator,
    /// Messages per second and socket.
    pub(crate) rate_limit: u32,
    pub(crate) rooms_per_socket: usize,
    /// Bytes that may wait for one socket.
    pub(crate) send_buffer: usize,
    pub(crate) broadcasts: Arc<Broadcasts>,
    /// How long a connection may be without a session.
    pub(crate) handshake_timeout: Duration,
    /// What clients are told when the node drains.
    pub(crate) reconnect_within: Duration,
    pub(crate) life: Life,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) unanswered: Arc<Unanswered>,
}

/// Messages that were accepted and whose answer is not queued to their sender yet.
#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    messages: AtomicUsize,
    none: Notify,
}

/// One of them, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Pending(Arc<Unanswered>);

impl Unanswered {
    pub(crate) fn one_more(self: &Arc<Self>) -> Pending {
        self.messages.fetch_add(1, Ordering::AcqRel);
        Pending(Arc::clone(self))
    }

    pub(crate) fn count(&self) -> usize {
        self.messages.load(Ordering::Acquire)
    }

    /// Returns when every one was answered or given up.
    pub(crate) async fn none(&self) {
        loop {
            let none = self.none.notified();
            if self.count() == 0 {
                return;
            }
            none.await;
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.0.messages.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none.notify_waiters();
        }
    }
}
