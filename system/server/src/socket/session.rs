//! One client's session: its requests in order, its rooms, its answers.
//!
//! One task works off the queue and never waits for Redis: joins and messages are futures beside it. A request for a
//! room that is being joined waits for that join, in order; requests for other rooms go on. Deliberately absent: the
//! session's position in a room and the order of what it gets, which delivery keeps.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::mpsc::UnboundedReceiver;
use futures_util::stream::{FuturesUnordered, StreamExt};
use system_protocol::{
    Code, Draining, Join, Joined, Leave, MessageId, Offset, Refusal, Room, Submit, TraceParent, event,
};
use system_wire::Connection;
use tokio::task::coop;
use tokio::time::Instant;

use super::connect::Line;
use super::intake::{Ack, Asked, Request};
use super::outbox::{Answer, Outbox};
use super::places::Places;
use crate::auth::{self, Identity};
use crate::backend::{Backend, Message, Outcome};
use crate::chat::{Chat, Pending};
use crate::edge::since_1970;
use crate::phase::Phase;
use crate::rate_limit::RateLimit;
use crate::telemetry::{RESUME_FRESH, RESUME_LOST, RESUME_RECOVERED, TARGET, add, trace};

/// Requests that may wait for joins; a client that sends more does not read its answers.
const PARKED: usize = 1024;
/// The wall clock may be set meanwhile; so often it is looked at before a token expires.
const LOOK: Duration = Duration::from_mins(5);

pub(super) struct Session<B: Backend> {
    chat: Arc<Chat<B>>,
    identity: Identity,
    outbox: Arc<Outbox<B::Adapter>>,
    requests: UnboundedReceiver<Box<Request>>,
    /// Its end leaves every room.
    membership: B::Session,
    rooms: Places<Place>,
    parked: usize,
    /// `None`: it has sent nothing yet, and many never do.
    limit: Option<Box<RateLimit>>,
    line: Arc<Line>,
    /// `None`: nothing, as mostly.
    doing: Option<FuturesUnordered<Doing>>,
}

type Doing = Pin<Box<dyn Future<Output = Done> + Send>>;

/// How a session stands to a room.
enum Place {
    /// And what waits for it.
    Joining(VecDeque<Request>),
    In,
}

/// What came of something that took its time.
enum Done {
    Joined { room: Room, resumed: bool, result: Result<Joined, Refusal> },
    Sent(Sending, Outcome),
}

/// A message that was accepted and not answered.
struct Sending {
    ack: Ack,
    arrived: Instant,
    id: MessageId,
    room: Room,
    traceparent: Option<TraceParent>,
    _pending: Pending,
}

impl<B: Backend> Session<B> {
    pub(super) fn new(
        chat: Arc<Chat<B>>,
        identity: Identity,
        outbox: Arc<Outbox<B::Adapter>>,
        requests: UnboundedReceiver<Box<Request>>,
        line: Arc<Line>,
    ) -> Self {
        let membership = chat.backend.session(Arc::clone(&outbox));
        let (rooms, parked, limit, doing) = (Places::new(), 0, None, None);
        Session { chat, identity, outbox, requests, membership, rooms, parked, limit, line, doing }
    }

    /// Enters the room of CONNECT, which was found to be allowed.
    pub(super) fn begin(&mut self, room: Room, offset: Option<Offset>) {
        self.chat.metrics.session(None, Some(0));
        self.enter(room, offset, Answer::Event);
    }

    /// Runs until the client is gone, by whatever way.
    pub(super) async fn run(mut self: Box<Self>) {
        let mut life = self.chat.life.follow();
        let voice = self.outbox.voice().clone();
        let (ended, expired) = (voice.ended(), expired(self.identity.expires()));
        tokio::pin!(ended, expired);
        let expired = loop {
            tokio::select! {
                biased;
                () = &mut ended => break false,
                () = &mut expired => break true,
                phase = life.next() => self.phase(phase),
                Some(done) = next(&mut self.doing) => self.done(done),
                // A client that never stops asking leaves the others their turn.
                Some(request) = coop::cooperative(self.requests.next()) => {
                    voice.connection().handled();
                    self.request(*request);
                }
            }
        };
        let patience = self.chat.handshake_timeout;
        if expired {
            self.expire();
        }
        (*self).end();
        if expired {
            // Boxed: every session would have room for it.
            Box::pin(part(Arc::clone(voice.connection()), patience)).await;
        }
    }

    /// A session that has lost a packet has nothing more to say; its stream ends, and so does this.
    fn phase(&self, phase: Phase) {
        if phase == Phase::Draining {
            let within = self.chat.reconnect_within.as_millis() as u64;
            let _ = self.outbox.emit(event::DRAINING, &Draining { reconnect_within_ms: within });
        }
    }

    /// What was accepted and is not answered yet stays so: its sender comes back with a fresh token and the same id.
    fn expire(&self) {
        add(&self.chat.metrics.expired);
        let _ = self.outbox.emit(event::ERROR, &auth::expired().event());
        self.outbox.disconnect();
    }

    fn request(&mut self, request: Request) {
        let Request { asked, ack, arrived } = request;
        if self.chat.life.phase() != Phase::Running {
            return self.refuse(ack, &Refusal::new(Code::Draining, "This node is going away"));
        }
        match asked {
            Asked::Invalid { refusal, message } => {
                let charged = if message { self.charge(None) } else { Ok(()) };
                self.refuse(ack, &charged.err().unwrap_or(refusal));
            }
            Asked::Submit(submit) => self.submit(submit, ack, arrived),
            Asked::Join(join) => self.join(join, ack, arrived),
            Asked::Leave(leave) => self.leave(leave, ack, arrived),
        }
    }

    fn submit(&mut self, submit: Submit, ack: Ack, arrived: Instant) {
        let room = submit.room.clone().unwrap_or_default();
        let key = submit.id.clone().map(|id| (room.clone(), id));
        if let Err(refusal) = self.charge(key) {
            return self.refuse(ack, &refusal);
        }
        match self.rooms.get_mut(&room) {
            None => self.refuse(ack, &not_in(&room)),
            Some(Place::Joining(_)) => self.park(&room, Request { asked: Asked::Submit(submit), ack, arrived }),
            Some(Place::In) => self.send(room, submit, ack, arrived),
        }
    }

    fn send(&mut self, room: Room, submit: Submit, ack: Ack, arrived: Instant) {
        let id = submit.id.unwrap_or_else(new_id);
        let span = tracing::info_span!(target: TARGET, "chat.accept", message.id = %id, room = %room);
        trace::continue_from(&span, submit.traceparent);
        let traceparent = trace::traceparent_of(&span, submit.traceparent);
        let message = Message {
            room: room.clone(),
            sender: self.identity.user.clone(),
            id: id.clone(),
            content: submit.content,
            traceparent,
        };
        add(&self.chat.metrics.accepted);
        let sending = Sending { ack, arrived, id, room, traceparent, _pending: self.chat.unanswered.one_more() };
        let outcome = span.in_scope(|| self.chat.backend.submit(message));
        self.does(Box::pin(async move { Done::Sent(sending, outcome.await) }));
    }

    fn join(&mut self, join: Join, ack: Ack, arrived: Instant) {
        // Two joins of one room at once: the second is answered when the first is through.
        if let Some(Place::Joining(_)) = self.rooms.get(&join.room) {
            return self.park(&join.room.clone(), Request { asked: Asked::Join(join), ack, arrived });
        }
        match self.may_enter(&join.room).and_then(|()| self.line.conduct.join(Instant::now())) {
            Ok(()) => self.enter(join.room, join.offset, Answer::Ack(ack)),
            Err(refusal) => self.refuse(ack, &refusal),
        }
    }

    /// A room that was joined before is asked too: it answers its position, and keeps its turn among requests.
    fn enter(&mut self, room: Room, offset: Option<Offset>, answer: Answer) {
        self.change_rooms(|rooms| rooms.insert(room.clone(), Place::Joining(VecDeque::new())));
        self.outbox.expect(room.clone(), answer);
        let (resumed, joining) = (offset.is_some(), self.chat.backend.join(&self.membership, room.clone(), offset));
        self.does(Box::pin(async move { Done::Joined { room, resumed, result: joining.await } }));
    }

    fn does(&mut self, doing: Doing) {
        self.doing.get_or_insert_default().push(doing);
    }

    fn may_enter(&self, room: &Room) -> Result<(), Refusal> {
        if self.rooms.get(room).is_some() {
            return Ok(());
        }
        self.identity.may_join(room)?;
        let limit = self.chat.rooms_per_socket;
        if self.rooms.len() < limit {
            return Ok(());
        }
        Err(Refusal::new(Code::TooManyRooms, format!("Too many rooms: {limit} per connection")))
    }

    fn leave(&mut self, leave: Leave, ack: Ack, arrived: Instant) {
        if let Some(Place::Joining(_)) = self.rooms.get(&leave.room) {
            return self.park(&leave.room.clone(), Request { asked: Asked::Leave(leave), ack, arrived });
        }
        self.change_rooms(|rooms| rooms.remove(&leave.room));
        match self.chat.backend.leave(&self.membership, &leave.room) {
            None => self.refuse(ack, &not_in(&leave.room)),
            Some(left) => {
                self.line.conduct.taken();
                let _ = self.outbox.ack(ack, &left);
            }
        }
    }

    fn park(&mut self, room: &Room, request: Request) {
        if self.parked >= PARKED {
            return self.outbox.close();
        }
        if let Some(Place::Joining(waiting)) = self.rooms.get_mut(room) {
            self.parked += 1;
            waiting.push_back(request);
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Sent(sending, outcome) => self.answer(&sending, outcome),
            Done::Joined { room, resumed, result } => self.joined(&room, resumed, result),
        }
    }

    fn joined(&mut self, room: &Room, resumed: bool, result: Result<Joined, Refusal>) {
        let before = self.rooms.len();
        let Some(Place::Joining(waiting)) = self.rooms.remove(room) else { return };
        match result {
            Ok(joined) => {
                let outcome = match (resumed, joined.recovered) {
                    (_, false) => RESUME_LOST,
                    (true, true) => RESUME_RECOVERED,
                    (false, true) => RESUME_FRESH,
                };
                add(&self.chat.metrics.resumes[outcome]);
                self.line.conduct.taken();
                self.rooms.insert(room.clone(), Place::In);
            }
            Err(refusal) => {
                self.refuse(self.outbox.unexpect(room), &refusal);
                self.chat.metrics.session(Some(before), Some(self.rooms.len()));
            }
        }
        self.parked -= waiting.len();
        for request in waiting {
            self.unpark(request);
        }
    }

    /// A message that waited was charged when it came.
    fn unpark(&mut self, request: Request) {
        let Request { asked, ack, arrived } = request;
        match asked {
            Asked::Submit(submit) => {
                let room = submit.room.clone().unwrap_or_default();
                match self.rooms.get(&room) {
                    None => self.refuse(ack, &not_in(&room)),
                    Some(Place::Joining(_)) => self.park(&room, Request { asked: Asked::Submit(submit), ack, arrived }),
                    Some(Place::In) => self.send(room, submit, ack, arrived),
                }
            }
            Asked::Join(join) => self.join(join, ack, arrived),
            Asked::Leave(leave) => self.leave(leave, ack, arrived),
            Asked::Invalid { refusal, .. } => self.refuse(ack, &refusal),
        }
    }

    fn answer(&self, sending: &Sending, outcome: Outcome) {
        match outcome {
            Outcome::Unknown => add(&self.chat.metrics.indeterminate),
            Outcome::Refused(refusal) => self.refuse(sending.ack, &refusal),
            Outcome::Stored { sent, duplicate } => {
                self.line.conduct.taken();
                let span = tracing::info_span!(
                    target: TARGET, "chat.ack",
                    message.id = %sending.id, room = %sending.room,
                    offset = sent.offset.map(tracing::field::display), duplicate = duplicate,
                );
                trace::continue_from(&span, sending.traceparent);
                if self.outbox.ack(sending.ack, &sent).is_ok() {
                    self.chat.metrics.acked(sending.arrived.elapsed(), duplicate);
                }
            }
        }
    }

    fn charge(&mut self, key: Option<(Room, MessageId)>) -> Result<(), Refusal> {
        let per_second = self.chat.rate_limit;
        let limit = self.limit.get_or_insert_with(|| Box::new(RateLimit::new(per_second)));
        limit.admit(Instant::now(), key).map_err(|wait| Refusal::messages_limited(per_second, wait))
    }

    fn refuse(&self, ack: Ack, refusal: &Refusal) {
        let _ = self.outbox.refuse(ack, refusal);
        self.line.refused(self.outbox.connection(), &self.chat.metrics, refusal.code);
    }

    fn change_rooms<T>(&mut self, change: impl FnOnce(&mut Places<Place>) -> T) -> T {
        let before = self.rooms.len();
        let result = change(&mut self.rooms);
        self.chat.metrics.session(Some(before), Some(self.rooms.len()));
        result
    }

    fn end(mut self) {
        self.requests.close();
        while self.requests.try_recv().is_ok() {
            self.outbox.connection().handled();
        }
        self.chat.metrics.session(Some(self.rooms.len()), None);
        self.outbox.ended();
    }
}

/// What is done first; the end of the last leaves nothing.
async fn next(doing: &mut Option<FuturesUnordered<Doing>>) -> Option<Done> {
    let done = doing.as_mut()?.next().await;
    if doing.as_ref().is_some_and(FuturesUnordered::is_empty) {
        *doing = None;
    }
    done
}

/// Returns when that time, since 1970, has come. Most tokens have none, and no session has room for theirs.
async fn expired(at: Option<Duration>) {
    match at {
        Some(at) => Box::pin(passed(at)).await,
        None => std::future::pending().await,
    }
}

async fn passed(at: Duration) {
    loop {
        let left = at.saturating_sub(since_1970());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK)).await;
    }
}

/// Socket.IO's clients close a connection without a session by themselves; the others are helped.
async fn part(connection: Arc<Connection>, patience: Duration) {
    if tokio::time::timeout(patience, connection.ended()).await.is_err() {
        connection.cut();
    }
}

fn not_in(room: &Room) -> Refusal {
    Refusal::new(Code::NotInRoom, format!("Not in room: {room}"))
}

fn new_id() -> MessageId {
    MessageId::parse(&uuid::Uuid::now_v7().to_string()).expect("a UUID is of the id alphabet")
}
