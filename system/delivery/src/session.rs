//! A session: which rooms one client is in, and how it gets there.
//!
//! A join is registered before its first await, so that what the client sends right behind it finds it. The order of a
//! join is: listen for bells → the room's head and the client's entry, fenced → under the room's lock the answer into
//! the outbox and the member into the room → catch up → live.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use system_protocol::{Code, Joined, Left, Offset, Refusal, Room};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::outbox::Outbox;
use crate::probe::{Event, Probe, Resumed};
use crate::replay;
use crate::room::{RoomCell, SessionId};
use crate::rooms::Rooms;
use crate::rules::Rules;
use crate::source::Source;

/// What every session of a log shares.
pub(crate) struct Hall {
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) probe: Arc<dyn Probe>,
    pub(crate) rules: Rules,
}

enum Membership {
    /// The ticket tells this join from a later one of the same room.
    Joining(u64),
    Member(Arc<RoomCell>),
}

#[derive(Default)]
struct State {
    /// Mostly one, for which a map would have room for eleven.
    rooms: Vec<(Room, Membership)>,
    tickets: u64,
    closed: bool,
}

impl State {
    fn membership(&mut self, room: &Room) -> Option<&mut Membership> {
        self.rooms.iter_mut().find(|(known, _)| known == room).map(|(_, membership)| membership)
    }

    fn remove(&mut self, room: &Room) -> Option<Membership> {
        let nth = self.rooms.iter().position(|(known, _)| known == room)?;
        Some(self.rooms.remove(nth).1)
    }
}

struct Inner {
    id: SessionId,
    outbox: Arc<dyn Outbox>,
    hall: Arc<Hall>,
    state: Mutex<State>,
    changed: Notify,
}

/// One client's rooms. Dropping it leaves them all.
pub struct Session {
    inner: Arc<Inner>,
}

impl Session {
    pub(crate) fn new(hall: Arc<Hall>, outbox: Arc<dyn Outbox>) -> Self {
        let id = hall.rooms.new_session();
        let inner = Inner { id, outbox, hall, state: Mutex::default(), changed: Notify::new() };
        Session { inner: Arc::new(inner) }
    }

    /// Enters a room; the answer is in the outbox, before any message of the room, when this resolves. It waits for as
    /// long as no server can be believed. A room already joined answers its position and replays nothing.
    pub fn join(
        &self,
        room: Room,
        at: Option<Offset>,
    ) -> impl Future<Output = Result<Joined, Refusal>> + Send + 'static {
        let inner = self.inner.clone();
        let entering =
            inner.take_ticket(&room).map(|ticket| Entering { inner: inner.clone(), room: room.clone(), ticket });
        async move {
            match entering {
                Some(entering) => entering.enter(at).await,
                None => inner.join_again(&room).await,
            }
        }
    }

    /// Nothing after the offset of the answer is sent. `None` when the session was not in that room.
    pub fn leave(&self, room: &Room) -> Option<Left> {
        let membership = self.inner.lock().remove(room)?;
        self.inner.changed.notify_waiters();
        Some(Left { room: room.clone(), offset: self.inner.expel(&membership) })
    }

    /// Whether the session is in the room; waits for a join that is under way.
    pub fn is_member(&self, room: &Room) -> impl Future<Output = bool> + Send + 'static {
        let (inner, room) = (self.inner.clone(), room.clone());
        async move { inner.settled(&room).await.is_some() }
    }

    /// Rooms joined or being joined.
    pub fn rooms(&self) -> usize {
        self.inner.lock().rooms.len()
    }

    /// Whether the room is joined or being joined.
    pub fn knows(&self, room: &Room) -> bool {
        self.inner.lock().membership(room).is_some()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let rooms = {
            let mut state = self.inner.lock();
            state.closed = true;
            std::mem::take(&mut state.rooms)
        };
        self.inner.changed.notify_waiters();
        for (_, membership) in &rooms {
            self.inner.expel(membership);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_ticket(&self, room: &Room) -> Option<u64> {
        let mut state = self.lock();
        if state.membership(room).is_some() {
            return None;
        }
        state.tickets += 1;
        let ticket = state.tickets;
        // One by one: a vector would begin with room for four.
        state.rooms.reserve_exact(1);
        state.rooms.push((room.clone(), Membership::Joining(ticket)));
        Some(ticket)
    }

    fn expel(&self, membership: &Membership) -> Option<Offset> {
        let Membership::Member(cell) = membership else { return None };
        let position = cell.expel(self.id);
        self.hall.rooms.close_when_deserted(&cell.room);
        position
    }

    /// Waits until no join of this room is under way.
    async fn settled(&self, room: &Room) -> Option<Arc<RoomCell>> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.lock().membership(room) {
                None => return None,
                Some(Membership::Member(cell)) => return Some(cell.clone()),
                Some(Membership::Joining(_)) => {}
            }
            changed.await;
        }
    }

    async fn join_again(&self, room: &Room) -> Result<Joined, Refusal> {
        let cell = self.settled(room).await.ok_or_else(gone)?;
        cell.answer_again(self.id).ok_or_else(gone)?.map_err(|_| gone())
    }
}

fn gone() -> Refusal {
    Refusal::new(Code::Unavailable, "The room was left before it was joined")
}

/// A join under way; given up when dropped.
struct Entering {
    inner: Arc<Inner>,
    room: Room,
    ticket: u64,
}

impl Entering {
    async fn enter(self, at: Option<Offset>) -> Result<Joined, Refusal> {
        let began = Instant::now();
        let hall = &self.inner.hall;
        let door = hall.rooms.enter(&self.room);
        hall.source.listen(&self.room).await;
        let mut entrance = hall.source.enter(&self.room, at).await?;
        entrance.held |= hall.rules.no_existence_check() && at.is_some_and(|at| at <= entrance.head);
        let (joined, behind) = {
            let mut state = self.inner.lock();
            self.still_wanted(&mut state).ok_or_else(gone)?;
            let admitted = door.cell.admit(self.inner.id, &self.inner.outbox, entrance, at).map_err(|_| gone())?;
            if let Some(membership) = state.membership(&self.room) {
                *membership = Membership::Member(door.cell.clone());
            }
            admitted
        };
        let outcome = match at {
            None => Resumed::Fresh,
            Some(_) if joined.recovered => Resumed::Recovered,
            Some(_) => Resumed::Lost,
        };
        hall.probe.see(Event::Joined { outcome, took: began.elapsed() });
        if behind {
            let task = replay::catch_up(hall.clone(), door.cell.clone(), self.inner.id, self.inner.outbox.clone());
            hall.source.spawn(Box::pin(task));
        }
        hall.source.pump(&self.room);
        Ok(joined)
    }

    fn still_wanted(&self, state: &mut State) -> Option<()> {
        let waits = matches!(state.membership(&self.room), Some(Membership::Joining(ticket)) if *ticket == self.ticket);
        (waits && !state.closed).then_some(())
    }
}

impl Drop for Entering {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        if self.still_wanted(&mut state).is_some() {
            state.remove(&self.room);
        }
        drop(state);
        self.inner.changed.notify_waiters();
    }
}
