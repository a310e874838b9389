//! What to say, what to believe, what to tell the owner: the whole client but for the network and the clock.
//!
//! The handle puts wishes in ([`join`](Session::join), [`send`](Session::send), …), the task puts frames in
//! ([`receive`](Session::receive)) and takes frames out ([`advance`](Session::advance)). Every time is passed in.

mod answers;
mod line;
mod membership;
mod receive;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use system_protocol::{Join, Leave, Left, MessageId, Offset, Room, Submit, event};
use tokio::sync::mpsc;

use crate::backoff::Backoff;
use crate::outbox::{Attempt, Outbox, Queue};
use crate::{Config, Event, Node, Unresolved, What, Why};
use line::{Line, Pending, Phase};
use membership::{Membership, State};

/// Longest time that a configuration or a node can name; more would overflow the clock.
const LONGEST: Duration = Duration::from_hours(24 * 365);

pub(crate) struct Session {
    config: Config,
    events: mpsc::UnboundedSender<Event>,
    random: ChaCha8Rng,
    backoff: Backoff,
    rooms: BTreeMap<Room, Membership>,
    outbox: Outbox,
    line: Option<Line>,
    node: usize,
    closing: bool,
    /// The node does not believe our token; another is needed.
    token_refused: bool,
    /// The node asked us to send nothing before.
    hold_until: Option<Instant>,
    /// Something happened that `advance` has not looked at.
    changed: bool,
    wake_at: Option<Instant>,
    #[cfg(debug_assertions)]
    shown: u64,
}

/// What the task does next: write these, and come back then at the latest.
pub(crate) struct Step {
    pub(crate) frames: Vec<String>,
    pub(crate) wake_at: Option<Instant>,
}

/// Whether there is reason to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Closing,
    Idle,
    Eager,
}

impl Session {
    pub(crate) fn new(mut config: Config, events: mpsc::UnboundedSender<Event>) -> Self {
        for time in [
            &mut config.connect_timeout,
            &mut config.join_timeout,
            &mut config.ack_timeout,
            &mut config.retry_horizon,
            &mut config.backoff.0,
            &mut config.backoff.1,
        ] {
            *time = LONGEST.min(*time);
        }
        Session {
            events,
            random: ChaCha8Rng::seed_from_u64(config.seed),
            backoff: Backoff::new(config.backoff),
            rooms: BTreeMap::new(),
            outbox: Outbox::new(config.queue_limit),
            line: None,
            node: config.start % config.nodes.len().max(1),
            closing: false,
            token_refused: false,
            hold_until: None,
            changed: true,
            wake_at: None,
            #[cfg(debug_assertions)]
            shown: 0,
            config,
        }
    }

    // ---- wishes ----

    pub(crate) fn join(&mut self, room: Room, offset: Option<Offset>) {
        let membership = self.rooms.entry(room).or_insert_with(|| Membership::new(offset));
        if !membership.wanted {
            membership.wanted = true;
            membership.comeback = offset;
        }
        self.changed = true;
    }

    pub(crate) fn leave(&mut self, room: &Room, now: Instant) {
        let Some(membership) = self.rooms.get_mut(room).filter(|membership| membership.wanted) else { return };
        membership.wanted = false;
        membership.leave_owed = true;
        membership.comeback = None;
        self.changed = true;
        self.abandon(room, now);
        if self.rooms[room].state == State::Out {
            self.leave_offline(room, now);
        }
    }

    pub(crate) fn send(&mut self, room: &Room, id: MessageId, submit: Submit, now: Instant) {
        if let Some((room, id)) = self.outbox.push(room, id, submit) {
            self.tell(now, What::Overflowed { id, room });
        }
        self.changed = true;
    }

    pub(crate) fn renew(&mut self, token: String) {
        self.config.token = token;
        self.token_refused = false;
    }

    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.changed = true;
    }

    // ---- questions ----

    pub(crate) fn wants(&self, room: &Room) -> bool {
        self.rooms.get(room).is_some_and(|membership| membership.wanted)
    }

    pub(crate) fn position(&self, room: &Room) -> Option<Offset> {
        self.rooms.get(room)?.position
    }

    pub(crate) fn queue(&self) -> Queue {
        self.outbox.counts()
    }

    pub(crate) fn mood(&self) -> Mood {
        if self.closing {
            Mood::Closing
        } else if !self.token_refused && self.rooms.values().any(|membership| membership.wanted) {
            Mood::Eager
        } else {
            Mood::Idle
        }
    }

    /// The node to try, and for how long.
    pub(crate) fn target(&self) -> (Node, Duration) {
        (self.config.nodes[self.node].clone(), self.config.connect_timeout)
    }

    /// Longest that a write may take.
    pub(crate) fn patience(&self) -> Duration {
        self.line.as_ref().and_then(|line| line.liveness).unwrap_or(self.config.connect_timeout)
    }

    // ---- the connection ----

    /// The socket is open; the node's answer to CONNECT is due `connect_timeout` after `started`.
    pub(crate) fn dialed(&mut self, started: Instant, now: Instant) {
        self.line = Some(Line::new(now, started + self.config.connect_timeout));
        self.changed = true;
    }

    /// The connection is gone or never was. Returns how long to wait before the next node is tried.
    pub(crate) fn lost(&mut self, why: Why, now: Instant) -> Duration {
        let was_up = self.line.take().is_some_and(|line| line.phase == Phase::Up);
        let node = self.node;
        let moved_on = why == Why::Draining;
        self.tell(now, if was_up { What::Down { node, why } } else { What::Unreachable { node, why } });
        for attempt in self.outbox.cut() {
            self.unanswered(attempt, now, |Attempt { id, room, number: attempt }| What::Cut { id, room, attempt });
        }
        for room in self.rooms.keys().cloned().collect::<Vec<_>>() {
            self.fall_out(&room, now);
        }
        self.hold_until = None;
        self.changed = true;
        self.node = (node + 1) % self.config.nodes.len();
        if moved_on { Duration::ZERO } else { self.backoff.next(&mut self.random) }
    }

    fn fall_out(&mut self, room: &Room, now: Instant) {
        let Some(membership) = self.rooms.get_mut(room) else { return };
        let leaving = matches!(membership.state, State::Leaving { .. });
        membership.state = State::Out;
        if membership.leave_owed {
            self.leave_offline(room, now);
        } else if leaving {
            self.leave_done(room, None, now);
        }
    }

    fn leave_offline(&mut self, room: &Room, now: Instant) {
        self.tell(now, What::Leaving { room: room.clone() });
        self.leave_done(room, None, now);
    }

    fn leave_done(&mut self, room: &Room, left: Option<Left>, now: Instant) {
        let Some(membership) = self.rooms.get_mut(room) else { return };
        let left = left.unwrap_or_else(|| Left { room: room.clone(), offset: membership.position });
        if !membership.left() {
            self.rooms.remove(room);
        }
        self.changed = true;
        self.tell(now, What::Left { left });
    }

    /// Called once, at the very end: whatever has not ended is told.
    pub(crate) fn finish(&mut self, now: Instant) {
        for room in self.outbox.rooms().cloned().collect::<Vec<_>>() {
            for (id, sent) in self.outbox.abandon(&room) {
                let room = room.clone();
                let unknown = What::Unknown { id: id.clone(), room: room.clone(), why: Unresolved::Closed };
                self.tell(now, if sent { unknown } else { What::Unsent { id, room } });
            }
        }
    }

    // ---- time ----

    /// Does what is due. Cheap when nothing is. An error ends the connection.
    pub(crate) fn advance(&mut self, now: Instant) -> Result<Step, Why> {
        if self.changed || self.wake_at.is_some_and(|at| at <= now) {
            self.changed = false;
            self.settle(now);
            self.check(now)?;
            self.speak(now);
            self.wake_at = self.deadline(now);
        }
        let frames = self.line.as_mut().map(|line| std::mem::take(&mut line.out)).unwrap_or_default();
        Ok(Step { frames, wake_at: self.wake_at })
    }

    fn settle(&mut self, now: Instant) {
        for attempt in self.outbox.late(now) {
            self.unanswered(attempt, now, |Attempt { id, room, number: attempt }| What::TimedOut { id, room, attempt });
        }
        for (room, id) in self.outbox.beyond(now, self.config.retry_horizon) {
            self.tell(now, What::Unknown { id, room, why: Unresolved::Horizon });
        }
        self.hold_until = self.hold_until.filter(|until| now < *until);
    }

    fn unanswered(&mut self, attempt: Attempt, now: Instant, what: fn(Attempt) -> What) {
        let room = attempt.room.clone();
        self.tell(now, what(attempt));
        if !self.wants(&room) {
            self.abandon(&room, now);
        }
    }

    /// Gives up what is not in flight in a room that we are no longer in.
    fn abandon(&mut self, room: &Room, now: Instant) {
        for (id, sent) in self.outbox.abandon(room) {
            let room = room.clone();
            let what = if sent { What::Unknown { id, room, why: Unresolved::Left } } else { What::Unsent { id, room } };
            self.tell(now, what);
        }
    }

    fn check(&self, now: Instant) -> Result<(), Why> {
        let Some(line) = &self.line else { return Ok(()) };
        if self.closing || (line.phase != Phase::Up && self.mood() == Mood::Idle) {
            return Err(Why::Closed);
        }
        if line.phase != Phase::Up && line.connect_by <= now {
            return Err(Why::Unanswered("CONNECT", self.config.connect_timeout));
        }
        if line.silent_at().is_some_and(|at| at <= now) {
            return Err(Why::Silent(line.liveness.unwrap_or_default()));
        }
        if self.rooms.values().any(|membership| membership.due().is_some_and(|by| by <= now)) {
            return Err(Why::Unanswered("join or leave", self.config.join_timeout));
        }
        match line.move_on {
            Some(go) if go.latest <= now || (go.at <= now && !self.outbox.in_flight()) => Err(Why::Draining),
            _ => Ok(()),
        }
    }

    fn speak(&mut self, now: Instant) {
        if !self.line.as_ref().is_some_and(Line::takes_wishes) {
            return;
        }
        for room in self.rooms.keys().cloned().collect::<Vec<_>>() {
            self.speak_of(&room, now);
        }
        if self.hold_until.is_none() {
            let ready = |room: &&Room| self.rooms.get(*room).is_some_and(Membership::may_send);
            for room in self.outbox.rooms().filter(ready).cloned().collect::<Vec<_>>() {
                self.launch(&room, now);
            }
        }
    }

    fn speak_of(&mut self, room: &Room, now: Instant) {
        let (Some(line), Some(membership)) = (&mut self.line, self.rooms.get_mut(room)) else { return };
        let by = now + self.config.join_timeout;
        let room = room.clone();
        let what = match membership.state {
            State::Out if membership.wanted => {
                membership.state = State::Joining { by };
                let join = Join { room: room.clone(), offset: membership.position };
                line.ask(event::JOIN, &join, Pending::Join { room: room.clone() });
                What::Joining { room, offset: join.offset }
            }
            State::In { head } if membership.leave_owed => {
                membership.state = State::Leaving { by, head };
                membership.leave_owed = false;
                line.ask(event::LEAVE, &Leave { room: room.clone() }, Pending::Leave { room: room.clone() });
                What::Leaving { room }
            }
            _ => return,
        };
        self.tell(now, what);
    }

    fn launch(&mut self, room: &Room, now: Instant) {
        let Some(line) = &mut self.line else { return };
        let Some(draft) = self.outbox.launch(room, now, self.config.ack_timeout) else { return };
        if draft.attempts > 1 {
            // A retry is a span of its own, in the same trace.
            let span = self.random.random_range(1..=u64::MAX);
            draft.submit.traceparent = draft.submit.traceparent.and_then(|parent| parent.child(span));
        }
        let (id, room, attempt) = (draft.id.clone(), room.clone(), draft.attempts);
        let pending = Pending::Submit { room: room.clone(), id: id.clone(), attempt };
        line.ask(event::CHAT_MESSAGE, &draft.submit, pending);
        let (content, traceparent) = (draft.submit.content.clone(), draft.submit.traceparent);
        self.tell(now, What::Sending { id, room, attempt, content, traceparent });
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        let line = self.line.as_ref().and_then(|line| line.deadline(now));
        let rooms = self.rooms.values().filter_map(Membership::due).min();
        let outbox = self.outbox.deadline(self.config.retry_horizon);
        [line, rooms, outbox, self.hold_until].into_iter().flatten().min()
    }

    /// An owner that dropped the receiver does not want to know.
    fn tell(&self, at: Instant, what: What) {
        let _ = self.events.send(Event { at, what });
    }
}
