//! One message on its way to all members of its room: encoded once, compressed once, written in one batch.
//!
//! What is made once is kept where delivery keeps it for us: with the room as long as it has members here, with the
//! message as long as its fan-out. A replay has no part in it: it goes to one session, and through no room's context.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use system_delivery::{FanOut, Slot};
use system_protocol::Room;
use system_wire::Batch;
use system_wire::deflate::{self, Deflate};

use crate::edge::unix_ms;

/// What all rooms of a node share.
pub(crate) struct Broadcasts {
    /// Rooms fan out in as many tasks at once as there are processors; one room always in the same.
    batches: Vec<Arc<Batch>>,
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
    pub(super) age: Duration,
}

impl Broadcasts {
    pub(crate) fn new(deflate: Arc<Deflate>) -> Self {
        let parallel = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Broadcasts { batches: (0..parallel).map(|_| Batch::new()).collect(), deflate }
    }

    /// `stored`: Unix milliseconds.
    pub(super) fn of<'a>(&self, fan_out: &'a FanOut<'_>, room: &Room, frame: &Bytes, stored: u64) -> &'a Broadcast {
        let FanOut { room: in_room, message } = fan_out;
        message.get_or_make(|| {
            let Shared { batch, deflate } = self.shared(in_room, room);
            let message = deflate.broadcast(frame.clone(), Instant::now());
            Broadcast { batch: Arc::clone(batch), message, age: since(stored) }
        })
    }

    fn shared<'a>(&self, slot: &'a Slot, room: &Room) -> &'a Shared {
        slot.get_or_make(|| Shared { batch: Arc::clone(self.batch(room)), deflate: self.deflate.room() })
    }

    pub(super) fn batch(&self, room: &Room) -> &Arc<Batch> {
        let sum = room.as_str().bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        &self.batches[sum % self.batches.len()]
    }
}

/// Across two clocks: never negative, and only a metric.
fn since(stored: u64) -> Duration {
    Duration::from_millis(unix_ms().saturating_sub(stored))
}
