//! The handle: it puts wishes into the session and wakes the task that carries them out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use system_protocol::{Code, MessageId, Offset, Refusal, Room, Submit, TraceParent};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::outbox::Queue;
use crate::session::Session;
use crate::{Config, Event, run};

/// Where message ids come from. They must be unique per room among everything that this user ever sends.
pub type Ids = Box<dyn FnMut() -> MessageId + Send>;

/// Ids by UUID v7: unique without memory, and ordered roughly by time.
pub fn uuids() -> Ids {
    Box::new(|| MessageId::parse(&uuid::Uuid::now_v7().to_string()).unwrap_or_else(|_| unreachable!("hex and dashes")))
}

/// A chat client. Dropping it closes the connection in the background; [`close`](Client::close) waits for that.
pub struct Client {
    shared: Arc<Shared>,
    ids: Mutex<Ids>,
    task: Option<JoinHandle<()>>,
}

/// What the handle and the task have in common.
pub(crate) struct Shared {
    session: Mutex<Session>,
    pub(crate) wake: Notify,
}

impl Shared {
    /// Never held across an await. A panic elsewhere does not spoil the session: its methods do not stop half-way.
    pub(crate) fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Must be called within a Tokio runtime. The connection is made with the first [`join`](Client::join), because
    /// CONNECT always joins a room. Events are not bounded: whoever starts a client reads them or drops the receiver.
    pub fn start(config: Config, ids: Ids) -> (Client, mpsc::UnboundedReceiver<Event>) {
        let (events, receiver) = mpsc::unbounded_channel();
        let session = Mutex::new(Session::new(config, events));
        let shared = Arc::new(Shared { session, wake: Notify::new() });
        let task = tokio::spawn(run::run(Arc::clone(&shared)));
        (Client { shared, ids: Mutex::new(ids), task: Some(task) }, receiver)
    }

    /// Enters a room, now and after every reconnect, until it is left. Without an offset: no history.
    /// A room that was joined already stays where it is.
    pub fn join(&self, room: Room, offset: Option<Offset>) {
        self.shared.session().join(room, offset);
        self.shared.wake.notify_one();
    }

    /// Leaves a room. What waits to be sent there is given up as [`Unsent`](crate::What::Unsent).
    /// False when it was not joined; otherwise [`Left`](crate::What::Left) follows, or
    /// [`JoinRefused`](crate::What::JoinRefused).
    pub fn leave(&self, room: &Room) -> bool {
        let leaves = self.shared.session().leave(room, Instant::now());
        self.shared.wake.notify_one();
        leaves
    }

    /// Queues a message and returns its id at once. Sent when the room is joined and what was queued before it has
    /// ended.
    ///
    /// # Errors
    /// What a node would certainly refuse: content against the contract, or a room that was never joined.
    pub fn send(
        &self,
        room: &Room,
        content: impl Into<String>,
        traceparent: Option<TraceParent>,
    ) -> Result<MessageId, Refusal> {
        let mut submit = Submit::new(content, room.clone(), traceparent)?;
        // Both locks, so that ids enter the queue in the order in which they are made.
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let mut session = self.shared.session();
        if !session.wants(room) {
            return Err(Refusal::new(Code::NotInRoom, format!("not in room {room}")));
        }
        let id = ids();
        submit.id = Some(id.clone());
        session.send(room, id.clone(), submit, Instant::now());
        self.shared.wake.notify_one();
        Ok(id)
    }

    /// Another token, for the next connection. A client that was rejected for its token, or whose token has expired
    /// meanwhile ([`Why::Rejected`](crate::Why::Rejected)), waits for this and then comes back, with everything that
    /// waits to be sent.
    pub fn renew(&self, token: impl Into<String>) {
        self.shared.session().renew(token.into());
        self.shared.wake.notify_one();
    }

    pub fn queue(&self) -> Queue {
        self.shared.session().queue()
    }

    /// The offset of the last message received in the room, from which it would be joined again.
    pub fn position(&self, room: &Room) -> Option<Offset> {
        self.shared.session().position(room)
    }

    /// Says goodbye and waits until the task has ended. Messages that have not ended are reported as
    /// [`Unknown`](crate::What::Unknown) or [`Unsent`](crate::What::Unsent).
    pub async fn close(mut self) {
        self.ask_to_close();
        if let Some(task) = self.task.take() {
            // It ends by itself; a panic inside it has been printed where it happened.
            let _ = task.await;
        }
    }

    fn ask_to_close(&self) {
        self.shared.session().close();
        self.shared.wake.notify_one();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.ask_to_close();
    }
}
