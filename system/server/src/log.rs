//! The log behind the sessions: `system-delivery`, durable on a Redis Cluster or in memory.

use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use socketioxide::adapter::{Adapter, LocalAdapter};
use system_delivery::{
    CloseReason, Closed, Config, ConfigError, Credentials, Delivery, Entry, FanOut, Log, Memory, Probe, RedisAddress,
    Session, ShardState, ShardStatus, Submission,
};
use system_protocol::{Joined, Left, MessageId, Offset, Refusal, Room, TraceParent, UserId, event, limits};

use crate::backend::{Backend, Message, Outcome, Shard, Status};
use crate::config::{Fence, RedisSettings, Settings};
use crate::edge::{TcpEdge, unix_ms};
use crate::socket::{Outbox, event_frame};

/// Either of the two.
pub(crate) struct Logged<D>(D);

pub(crate) fn memory(settings: &Settings, probe: Arc<dyn Probe>) -> Logged<Memory> {
    let config = Config { history_window: settings.history_window, page: page(settings), ..Config::new(Vec::new()) };
    Logged(Memory::start(config, unix_ms, probe))
}

/// Within a tokio runtime. It looks for its Redis by itself, for as long as that takes.
pub(crate) fn durable(
    settings: &Settings,
    redis: RedisSettings,
    probe: Arc<dyn Probe>,
) -> Result<Logged<Log<TcpEdge>>, ConfigError> {
    let tls = redis.tls.is_some();
    let address = |(host, port): &(String, u16)| RedisAddress { tls, ..RedisAddress::new(host, *port) };
    let config = Config {
        credentials: Credentials { username: redis.username, password: redis.password },
        fence: match redis.fence {
            Fence::Full => system_delivery::Fence::Full,
            Fence::None => system_delivery::Fence::None,
        },
        history_window: settings.history_window,
        page: page(settings),
        #[cfg(debug_assertions)]
        broken: redis.broken.unwrap_or_default(),
        ..Config::new(redis.nodes.iter().map(address).collect())
    };
    Log::start(TcpEdge::new(redis.tls), config, probe).map(Logged)
}

/// Replay pauses between pages only, when half of the buffer is in use: a page must fit the other half with room to
/// spare for what is live.
fn page(settings: &Settings) -> usize {
    const LARGEST: usize = 500;
    /// No message is longer: every code unit of a content may be an escape of six bytes.
    const MESSAGE: usize = 6 * limits::CONTENT_UNITS + 1024;
    (settings.send_buffer / 4 / MESSAGE).clamp(1, LARGEST)
}

impl<D: Delivery> Backend for Logged<D> {
    type Adapter = LocalAdapter;
    type Session = Session;

    fn session(&self, outbox: Arc<Outbox<LocalAdapter>>) -> Session {
        self.0.session(outbox)
    }

    fn join(
        &self,
        session: &Session,
        room: Room,
        offset: Option<Offset>,
    ) -> impl Future<Output = Result<Joined, Refusal>> + Send + 'static {
        session.join(room, offset)
    }

    fn leave(&self, session: &Session, room: &Room) -> Option<Left> {
        session.leave(room)
    }

    fn submit(&self, message: Message) -> impl Future<Output = Outcome> + Send + 'static {
        let Message { room, sender, id, content, traceparent } = message;
        let receipt = self.0.submit(Submission { room, sender, id, content, traceparent });
        async move {
            match receipt.await {
                system_delivery::Outcome::Acked(acked) => {
                    Outcome::Stored { sent: acked.sent(), duplicate: acked.duplicate }
                }
                system_delivery::Outcome::Refused(refusal) => Outcome::Refused(refusal),
                system_delivery::Outcome::Unanswered => Outcome::Unknown,
            }
        }
    }

    fn status(&self) -> Status {
        let status = self.0.status();
        let reason = status.reason.unwrap_or_else(|| "the log is not ready".to_owned());
        Status {
            unready: (!status.ready).then_some(reason),
            shards: status.shards.iter().map(shard).collect(),
            pending: status.pending,
        }
    }

    fn drain(&self) {
        self.0.drain();
    }

    async fn drained(&self) {
        self.0.drained().await;
    }
}

fn shard(status: &ShardStatus) -> Shard {
    let degraded = match &status.state {
        ShardState::Acking => None,
        ShardState::Starting => Some("nothing was tried yet".to_owned()),
        ShardState::Detached { asked, attached } => Some(format!("{attached} of {asked} replicas are attached")),
        ShardState::Short { asked, answered } => Some(format!("{answered} of {asked} replicas answer")),
        ShardState::Unreachable { why } => Some(why.clone()),
    };
    Shard { number: status.shard, degraded, epoch: status.epoch }
}

impl<A: Adapter> system_delivery::Outbox for Outbox<A> {
    fn joined(&self, joined: &Joined) -> Result<(), Closed> {
        Outbox::joined(self, joined).map_err(|_| Closed)
    }

    fn message(&self, entry: &Arc<Entry>, fan_out: Option<&FanOut<'_>>) -> Result<(), Closed> {
        let frame = entry.frame(|entry| event_frame(event::CHAT_MESSAGE, &Outgoing::of(entry)));
        self.chat_message(entry, frame, fan_out).map_err(|_| Closed)
    }

    fn fetch(&self) {
        Outbox::fetch(self);
    }

    fn close(&self, why: CloseReason) {
        tracing::warn!(why = why.as_str(), "a session is closed; it resumes");
        Outbox::close(self);
    }

    fn writable(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(Outbox::writable(self))
    }
}

/// `ChatMessage` by reference.
#[derive(Serialize)]
struct Outgoing<'a> {
    id: &'a MessageId,
    room: &'a Room,
    sender: &'a UserId,
    content: &'a str,
    timestamp: u64,
    offset: Offset,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<TraceParent>,
}

impl<'a> Outgoing<'a> {
    fn of(entry: &'a Entry) -> Self {
        Outgoing {
            id: &entry.id,
            room: &entry.room,
            sender: &entry.sender,
            content: &entry.content,
            timestamp: entry.offset.ms(),
            offset: entry.offset,
            traceparent: entry.traceparent.filter(|parent| parent.sampled()),
        }
    }
}
