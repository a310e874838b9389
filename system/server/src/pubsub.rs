//! Plain Socket.IO with the stock Redis adapter, as most deployments run it: the baseline of a drill that shows what
//! it loses.
//!
//! A message is broadcast through the adapter and acked as soon as Redis took the publish. There is no log: no offsets,
//! no history, nobody knows what a member missed. Deliberately not improved.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock};

use socketioxide::SocketIo;
use socketioxide::socket::Socket;
use socketioxide::{AdapterError, BroadcastError};
use system_protocol::{ChatMessage, Joined, Left, Offset, Refusal, Room, Sent, event};

use crate::backend::{Backend, Message, Outcome, Status};
use crate::edge::unix_ms;
use crate::engine::Clustered;
use crate::socket::Outbox;

pub(crate) struct PubSub {
    io: Arc<OnceLock<SocketIo<Clustered>>>,
}

/// A socket, which socketioxide keeps in its rooms.
pub(crate) struct Session {
    socket: Arc<Socket<Clustered>>,
    outbox: Arc<Outbox<Clustered>>,
    rooms: Mutex<BTreeSet<Room>>,
}

impl PubSub {
    pub(crate) fn new() -> Self {
        PubSub { io: Arc::default() }
    }

    pub(crate) fn opened(&self, io: SocketIo<Clustered>) {
        let _ = self.io.set(io);
    }
}

impl Backend for PubSub {
    type Adapter = Clustered;
    type Session = Session;

    fn session(&self, outbox: Arc<Outbox<Clustered>>) -> Session {
        Session { socket: Arc::clone(outbox.socket()), outbox, rooms: Mutex::default() }
    }

    fn join(
        &self,
        session: &Session,
        room: Room,
        offset: Option<Offset>,
    ) -> impl Future<Output = Result<Joined, Refusal>> + Send + 'static {
        let first = session.rooms.lock().expect("no panic while it is held").insert(room.clone());
        let joined = Joined { room: room.clone(), offset: None, head: None, recovered: offset.is_none() || !first };
        // A loss in the outbox ends the session, which leaves the room.
        let _ = session.outbox.joined(&joined);
        session.socket.join(room.to_string());
        std::future::ready(Ok(joined))
    }

    fn leave(&self, session: &Session, room: &Room) -> Option<Left> {
        let known = session.rooms.lock().expect("no panic while it is held").remove(room);
        session.socket.leave(room.to_string());
        known.then(|| Left { room: room.clone(), offset: None })
    }

    fn submit(&self, message: Message) -> impl Future<Output = Outcome> + Send + 'static {
        let io = Arc::clone(&self.io);
        async move {
            let Some(io) = io.get() else { return Outcome::Unknown };
            let timestamp = unix_ms();
            let sent = Sent { id: message.id.clone(), offset: None, timestamp };
            let room = message.room.to_string();
            match io.within(room).emit(event::CHAT_MESSAGE, &broadcast(message, timestamp)).await {
                // A member whose channel is full lost it: that is what this adapter does.
                Ok(()) | Err(BroadcastError::Socket(_)) => Outcome::Stored { sent, duplicate: false },
                Err(error) => unpublished(&error),
            }
        }
    }

    fn status(&self) -> Status {
        let unready = self.io.get().is_none().then(|| "starting: no connection to Redis yet".to_owned());
        Status { unready, ..Status::default() }
    }

    fn drain(&self) {}

    async fn drained(&self) {}
}

fn broadcast(message: Message, timestamp: u64) -> ChatMessage {
    ChatMessage {
        id: message.id,
        room: message.room,
        sender: message.sender,
        content: message.content,
        timestamp,
        offset: None,
        traceparent: message.traceparent.filter(|parent| parent.sampled()),
    }
}

fn unpublished(error: &BroadcastError) -> Outcome {
    let reason: &dyn std::fmt::Display = match error {
        BroadcastError::Adapter(AdapterError(error)) => error,
        other => other,
    };
    tracing::warn!(error = %reason, "a publish failed; its message is not acked");
    Outcome::Unknown
}
