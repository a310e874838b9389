//! What a session asks of whatever stands behind it: the log, its stand-in in memory, or plain Pub/Sub.

use std::future::Future;
use std::sync::Arc;

use socketioxide::adapter::Adapter;
use system_protocol::{Joined, Left, MessageId, Offset, Refusal, Room, Sent, TraceParent, UserId};

use crate::socket::Outbox;

/// A valid message on its way into a room.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) room: Room,
    pub(crate) sender: UserId,
    pub(crate) id: MessageId,
    pub(crate) content: String,
    /// That of this node's span, which whoever reads the entry continues.
    pub(crate) traceparent: Option<TraceParent>,
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
    pub(crate) shards: Vec<Shard>,
    /// Messages that wait for an ack.
    pub(crate) pending: usize,
}

/// A shard of the Redis Cluster, as this node sees it.
#[derive(Debug, Clone)]
pub(crate) struct Shard {
    pub(crate) number: usize,
    /// Why nothing can be acked there now.
    pub(crate) degraded: Option<String>,
    pub(crate) epoch: u64,
}

pub(crate) trait Backend: Send + Sync + 'static {
    type Adapter: Adapter;
    /// One client's rooms. Dropping it leaves them all.
    type Session: Send + Sync + 'static;

    fn session(&self, outbox: Arc<Outbox<Self::Adapter>>) -> Self::Session;

    /// Puts the answer into the outbox, then what was missed, then what is live; a room joined before answers its
    /// position. May wait for as long as the room's shard is away; dropped before its end, it never happened.
    fn join(
        &self,
        session: &Self::Session,
        room: Room,
        offset: Option<Offset>,
    ) -> impl Future<Output = Result<Joined, Refusal>> + Send + 'static;

    /// Nothing after the answer's offset goes into the outbox. `None` when the session was not there.
    fn leave(&self, session: &Self::Session, room: &Room) -> Option<Left>;

    /// Calls for one room by one sender are stored in the order of the calls, whenever the futures are polled.
    fn submit(&self, message: Message) -> impl Future<Output = Outcome> + Send + 'static;

    fn status(&self) -> Status;

    /// From now on nothing new is taken.
    fn drain(&self);

    /// Returns when nothing waits for an ack any more.
    fn drained(&self) -> impl Future<Output = ()> + Send;
}
