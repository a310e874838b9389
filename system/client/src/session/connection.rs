//! A connection's beginning and end, and what its end means for rooms and messages.

use std::time::{Duration, Instant};

use system_protocol::{Left, Room};

use super::Session;
use super::line::{Line, Phase};
use super::membership::State;
use crate::outbox::Attempt;
use crate::{Unresolved, What, Why};

impl Session {
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
        self.join_after = None;
        self.changed = true;
        self.node = (node + 1) % self.config.nodes.len();
        if moved_on { Duration::ZERO } else { self.backoff.next(&mut self.random) }
    }

    /// We are not in the room, whatever we asked for.
    pub(super) fn fall_out(&mut self, room: &Room, now: Instant) {
        let Some(membership) = self.rooms.get_mut(room) else { return };
        let leaving = matches!(membership.state, State::Leaving { .. });
        membership.state = State::Out;
        if membership.leave_owed {
            self.leave_offline(room, now);
        } else if leaving {
            self.leave_done(room, None, now);
        }
    }

    pub(super) fn leave_offline(&mut self, room: &Room, now: Instant) {
        self.tell(now, What::Leaving { room: room.clone() });
        self.leave_done(room, None, now);
    }

    pub(super) fn leave_done(&mut self, room: &Room, left: Option<Left>, now: Instant) {
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
}
