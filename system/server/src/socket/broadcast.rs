//! One message on its way to all members of its room: encoded once, compressed once, written in one batch.
//!
//! What is made once is kept where delivery keeps it for us: with the room as long as it has members here, with the
//! message as long as its fan-out. A replay has no part in it: it goes to one session, and through no room's context.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use system_delivery::FanOut;
use system_wire::Batch;
use system_wire::deflate::{self, Deflate};

use crate::edge::unix_ms;
use crate::telemetry::Metrics;

/// A room's members are written to so often at most: at 250 evenly spaced messages a second none waits, at twice that
/// two share a write and half of the kernel's work is saved. Two that come closer together share one at any rate.
const PACE: Duration = Duration::from_millis(4);

/// What all rooms of a node share.
pub(crate) struct Broadcasts {
    /// What goes to one only.
    pub(super) replays: Arc<Batch>,
    pub(crate) deflate: Arc<Deflate>,
}

/// What the members of a room share.
struct Shared {
    batch: Arc<Batch>,
    deflate: Arc<deflate::Room>,
}

/// One live message.
pub(super) struct Broadcast {
    pub(super) batch: Arc<Batch>,
    pub(super) message: deflate::Broadcast,
    /// Since it was stored.
    age: Duration,
    delivered: AtomicU64,
    metrics: Arc<Metrics>,
}

impl Broadcasts {
    pub(crate) fn new(deflate: Arc<Deflate>) -> Self {
        Broadcasts { replays: Batch::new(), deflate }
    }

    /// `stored`: Unix milliseconds.
    pub(super) fn of<'a>(
        &self,
        fan_out: &'a FanOut<'_>,
        frame: &Bytes,
        stored: u64,
        metrics: &Arc<Metrics>,
    ) -> &'a Broadcast {
        let FanOut { room, message } = fan_out;
        message.get_or_make(|| {
            let Shared { batch, deflate } =
                room.get_or_make(|| Shared { batch: Batch::paced(PACE), deflate: self.deflate.room() });
            Broadcast {
                batch: Arc::clone(batch),
                message: deflate.broadcast(frame.clone(), Instant::now()),
                age: since(stored),
                delivered: AtomicU64::new(0),
                metrics: Arc::clone(metrics),
            }
        })
    }
}

impl Broadcast {
    /// To one more member.
    pub(super) fn delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Broadcast {
    fn drop(&mut self) {
        self.metrics.delivered(*self.delivered.get_mut(), self.age);
    }
}

/// Across two clocks: never negative, and only a metric.
fn since(stored: u64) -> Duration {
    Duration::from_millis(unix_ms().saturating_sub(stored))
}
