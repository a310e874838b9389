//! What is due: late answers, old messages, silent nodes, and whatever is waiting to be said.

use std::time::Instant;

use rand::RngExt;
use system_protocol::{Join, Leave, Room, event};

use super::line::{Line, Pending, Phase};
use super::membership::{Membership, State};
use super::{Mood, Session, Step};
use crate::outbox::Attempt;
use crate::{Unresolved, What, Why};

impl Session {
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
        self.join_after = self.join_after.filter(|until| now < *until);
    }

    pub(super) fn unanswered(&mut self, attempt: Attempt, now: Instant, what: fn(Attempt) -> What) {
        let room = attempt.room.clone();
        self.tell(now, what(attempt));
        if !self.wants(&room) {
            self.abandon(&room, now);
        }
    }

    /// Gives up what is not in flight in a room that we are no longer in.
    pub(super) fn abandon(&mut self, room: &Room, now: Instant) {
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
            State::Out if membership.wanted && self.join_after.is_none() => {
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
        [line, rooms, outbox, self.hold_until, self.join_after].into_iter().flatten().min()
    }
}
