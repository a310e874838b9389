//! Where a session's output goes. The socket behind it is the server's business.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use system_protocol::Joined;

use crate::entry::Entry;

/// This session takes nothing more; it was closed, and the client resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("session is closed")]
pub struct Closed;

/// Why the log wants a session closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The entry that the session stands at is gone: the room was trimmed past it, or wiped.
    HistoryLost,
}

impl CloseReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            CloseReason::HistoryLost => "history_lost",
        }
    }
}

/// One live entry on its way to all who stand right before it. A room's fan-outs follow each other in its order.
pub struct FanOut<'a> {
    /// As long as the room has members.
    pub room: &'a Slot,
    /// As long as this fan-out.
    pub message: Slot,
}

/// Room for what outboxes make once and use for all members; nobody else looks into it.
#[derive(Default)]
pub struct Slot(OnceLock<Box<dyn Any + Send + Sync>>);

impl Slot {
    /// # Panics
    /// When something of another type is there: the outboxes of a log are of one kind.
    pub fn get_or_make<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> &T {
        let made = self.0.get_or_init(|| Box::new(make()));
        made.downcast_ref().expect("one type in one slot")
    }
}

/// One session's output, in order. `joined`, `message` and `close` are called under the room's lock: they must not
/// block and must not call back into the log. The first `Err` is final: nothing may be queued after it.
pub trait Outbox: Send + Sync + 'static {
    /// The answer to a join; before any message of that room.
    fn joined(&self, joined: &Joined) -> Result<(), Closed>;

    /// One message; without a fan-out while a resume catches up.
    fn message(&self, entry: &Arc<Entry>, fan_out: Option<&FanOut<'_>>) -> Result<(), Closed>;

    /// Reads what `message` begins with. A fan-out has several outboxes do this in a row before it tells the first:
    /// nobody touched them since the last message, and memory brings many at once in the time of one.
    fn fetch(&self) {}

    /// Nothing more comes; the session is to be closed.
    fn close(&self, why: CloseReason);

    /// Resolves when there is room for another page of replay. Asked between pages only: a long history must not
    /// close a session that could take it a little later.
    fn writable(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}
