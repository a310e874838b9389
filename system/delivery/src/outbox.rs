//! Where a session's output goes. The socket behind it is the server's business.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

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

/// One session's output, in order. `joined`, `message` and `close` are called under the room's lock: they must not
/// block and must not call back into the log. The first `Err` is final: nothing may be queued after it.
pub trait Outbox: Send + Sync + 'static {
    /// The answer to a join; before any message of that room.
    fn joined(&self, joined: &Joined) -> Result<(), Closed>;

    /// One message; `replay` while a resume catches up.
    fn message(&self, entry: &Arc<Entry>, replay: bool) -> Result<(), Closed>;

    /// Nothing more comes; the session is to be closed.
    fn close(&self, why: CloseReason);

    /// Resolves when there is room for another page of replay. Asked between pages only: a long history must not
    /// close a session that could take it a little later.
    fn writable(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}
