//! What a session asks of whatever stands behind it: the log, its stand-in in memory, or plain Pub/Sub.

use std::future::Future;
use std::sync::Arc;

use socketioxide::adapter::Adapter;
use system_protocol::{Joined, Left, MessageId, Offset, Refusal, Room, Sent, TraceParent, UserId};
use tokio::time::Instant;

use crate::socket::RoomOutbox;

/// A valid message on its way into a room.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) room: Room,
    pub(crate) sender: UserId,
    pub(crate) id: MessageId,
    pub(crate) content: String,
    /// That of this node's span, which whoever reads the entry continues.
    pub(crate) traceparent: Option<TraceParent>,
    pub(crate) received: Instant,
}

/// What became of a message.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Stored {
        sent: Sent,
        duplicate: bool,
    },
    Refused(Refusal),
    /// Nobody knows; the sender asks again with the same id.
    Unknown,
}

/// How a backend is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    /// Why not, when it is not ready.
    pub(crate) unready: Option<String>,
    /// Every shard, and whether it cannot ack now.
    pub(crate) shards: Vec<(String, bool)>,
    pub(crate) pending: u64,
}

pub(crate) trait Backend: Send + Sync + 'static {
    type Adapter: Adapter;
    /// A session's place in a room.
    type Member: Send + 'static;

    /// Puts the answer into the outbox, then what was missed, then what is live. May wait for as long as the room's
    /// shard is away; a join that is dropped before its end never happened. The flag: nothing was missed (`recovered`).
    fn join(
        &self,
        outbox: Arc<RoomOutbox<Self::Adapter>>,
        offset: Option<Offset>,
    ) -> impl Future<Output = Result<(Self::Member, bool), Refusal>> + Send + 'static;

    /// The answer to a join of a room that was joined before.
    fn position(&self, member: &Self::Member) -> Joined;

    /// Nothing after the answer's offset goes into the outbox.
    fn leave(&self, member: Self::Member) -> Left;

    /// Calls for one room by one sender are stored in the order of the calls, whenever the futures are polled.
    fn submit(&self, message: Message) -> impl Future<Output = Outcome> + Send + 'static;

    fn status(&self) -> Status;

    /// Returns when nothing is pending any more.
    fn drained(&self) -> impl Future<Output = ()> + Send;
}
