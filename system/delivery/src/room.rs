//! One room on this node: how far it was delivered, and to whom.
//!
//! The node's cursor is not a session's position. Every session keeps the offset that it has been sent, and an entry
//! goes to exactly the sessions whose position is its predecessor: one that catches up is not overtaken, one that comes
//! from a node further ahead waits its turn. Cursor, members and what they are sent change under one lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use system_protocol::{Joined, Offset, Room};

use crate::entry::{Entry, Item};
use crate::names::{self, Partition};
use crate::outbox::{CloseReason, Closed, FanOut, Outbox, Slot};
use crate::rules::Rules;
use crate::source::Entrance;
use crate::spans::{self, Origin};

pub(crate) type SessionId = u64;

/// So many outboxes are fetched from memory together: about what a core waits for at once.
const FETCHED: usize = 16;

/// An entry that is known to be committed, and which message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: Offset,
    pub(crate) mark: [u8; 8],
}

struct Member {
    sent: Offset,
    outbox: Arc<dyn Outbox>,
}

#[derive(Default)]
struct State {
    /// The last entry handed out; nothing before the first member's head is known.
    cursor: Option<Offset>,
    members: BTreeMap<SessionId, Member>,
    /// Sessions that are on their way in and keep the room open.
    entering: usize,
    /// The furthest that a bell or a sweep told of.
    told: Option<Committed>,
    /// What the members' outboxes share.
    shared: Slot,
}

pub(crate) struct RoomCell {
    pub(crate) room: Room,
    pub(crate) partition: Partition,
    state: Mutex<State>,
}

/// What handing out a page of live entries came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Handed {
    pub(crate) entries: usize,
    pub(crate) sessions: usize,
    pub(crate) failed: usize,
    /// The entry at the cursor did not come back first.
    pub(crate) missing: bool,
}

/// Where a session that catches up stands after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Behind,
    /// As far as the node: live from here on.
    Level,
    /// The entry that it stood at is gone.
    Missing,
    /// It left, or was closed.
    Gone,
}

impl RoomCell {
    pub(crate) fn new(room: Room) -> Self {
        let partition = names::partition_of(&room);
        RoomCell { room, partition, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reserve(&self) {
        self.lock().entering += 1;
    }

    pub(crate) fn release(&self) {
        let mut state = self.lock();
        state.entering = state.entering.saturating_sub(1);
    }

    pub(crate) fn deserted(&self) -> bool {
        let state = self.lock();
        state.members.is_empty() && state.entering == 0
    }

    pub(crate) fn cursor(&self) -> Option<Offset> {
        self.lock().cursor
    }

    pub(crate) fn position(&self, session: SessionId) -> Option<Offset> {
        self.lock().members.get(&session).map(|member| member.sent)
    }

    /// Remembers how far the room is committed; the answer is what there is to read, when there is.
    pub(crate) fn told(&self, committed: Committed) -> Option<Committed> {
        let mut state = self.lock();
        if state.told.is_none_or(|told| told.offset < committed.offset) {
            state.told = Some(committed);
        }
        behind(&state)
    }

    pub(crate) fn behind(&self) -> Option<Committed> {
        behind(&self.lock())
    }

    /// What a server could not prove is not asked for again, until it is told anew.
    pub(crate) fn forget_told(&self) {
        self.lock().told = None;
    }

    /// Lets a session in and queues the answer before anything else of this room. True when it has to catch up.
    pub(crate) fn admit(
        &self,
        session: SessionId,
        outbox: &Arc<dyn Outbox>,
        entrance: Entrance,
        at: Option<Offset>,
    ) -> Result<(Joined, bool), Closed> {
        let mut state = self.lock();
        let sent = at.filter(|_| entrance.held).unwrap_or(entrance.head);
        let joined = Joined {
            room: self.room.clone(),
            offset: Some(sent),
            head: Some(entrance.head),
            recovered: at.is_none() || entrance.held,
        };
        outbox.joined(&joined)?;
        let cursor = *state.cursor.get_or_insert(entrance.head);
        state.members.insert(session, Member { sent, outbox: outbox.clone() });
        Ok((joined, sent < cursor))
    }

    /// A room already joined answers its position and replays nothing.
    pub(crate) fn answer_again(&self, session: SessionId) -> Option<Result<Joined, Closed>> {
        let state = self.lock();
        let member = state.members.get(&session)?;
        let joined = Joined { room: self.room.clone(), offset: Some(member.sent), head: state.cursor, recovered: true };
        Some(member.outbox.joined(&joined).map(|()| joined))
    }

    pub(crate) fn expel(&self, session: SessionId) -> Option<Offset> {
        self.lock().members.remove(&session).map(|member| member.sent)
    }

    /// Hands out live entries up to what is committed. `items` begin at the cursor, inclusively.
    pub(crate) fn deliver(&self, items: &[Item], upto: Offset, rules: &Rules, origin: &Origin) -> Handed {
        let mut state = self.lock();
        let mut handed = Handed::default();
        let Some(cursor) = state.cursor else { return handed };
        let Some(start) = items.iter().position(|item| item.offset == cursor) else {
            // Another reader may have been faster: then its entries are simply old.
            handed.missing = items.first().is_none_or(|first| first.offset > cursor);
            if !(handed.missing && rules.exclusive_read()) {
                return handed;
            }
            return state.hand_out(items, cursor, upto, rules, origin);
        };
        state.hand_out(&items[start + 1..], cursor, upto, rules, origin)
    }

    /// Hands a page to the one session that catches up; `from` is where it stood when the page was asked for.
    pub(crate) fn replay(&self, session: SessionId, from: Offset, items: &[Item], rules: &Rules) -> Standing {
        let mut state = self.lock();
        let cursor = state.cursor;
        let Some(member) = state.members.get_mut(&session) else { return Standing::Gone };
        let unchecked = rules.no_existence_check() || rules.exclusive_read();
        if member.sent == from && items.first().is_none_or(|first| first.offset != from) && !unchecked {
            return Standing::Missing;
        }
        for item in items {
            if item.offset <= member.sent {
                continue;
            }
            if let Some(entry) = &item.message
                && member.outbox.message(entry, None).is_err()
            {
                state.members.remove(&session);
                return Standing::Gone;
            }
            member.sent = item.offset;
        }
        if cursor.is_some_and(|cursor| member.sent < cursor) { Standing::Behind } else { Standing::Level }
    }

    /// Everybody here stands at history that is gone. Returns how many.
    pub(crate) fn lose_history(&self) -> usize {
        let mut state = self.lock();
        state.cursor = None;
        state.told = None;
        let members = std::mem::take(&mut state.members);
        for member in members.values() {
            member.outbox.close(CloseReason::HistoryLost);
        }
        members.len()
    }
}

fn behind(state: &State) -> Option<Committed> {
    let (cursor, told) = (state.cursor?, state.told?);
    (told.offset > cursor).then_some(told)
}

impl State {
    fn hand_out(&mut self, items: &[Item], from: Offset, upto: Offset, rules: &Rules, origin: &Origin) -> Handed {
        let mut handed = Handed::default();
        let mut before = from;
        for item in items.iter().take_while(|item| item.offset <= upto).filter(|item| item.offset > from) {
            match &item.message {
                Some(entry) if !rules.drop_bell(entry.mark()) => {
                    self.fan_out(entry, before, rules, origin, &mut handed);
                }
                _ => self.step_over(before, item.offset),
            }
            before = item.offset;
            self.cursor = Some(before);
            handed.entries += 1;
        }
        handed
    }

    fn step_over(&mut self, before: Offset, to: Offset) {
        for member in self.members.values_mut().filter(|member| member.sent == before) {
            member.sent = to;
        }
    }

    fn fan_out(&mut self, entry: &Arc<Entry>, before: Offset, rules: &Rules, origin: &Origin, handed: &mut Handed) {
        let read = spans::read(entry, origin);
        if rules.drop_fanout(entry.mark()) {
            return self.step_over(before, entry.offset);
        }
        let fanout = spans::fanout(entry, &read);
        let mut sessions = 0;
        let to_all = FanOut { room: &self.shared, message: Slot::default() };
        let mut closed = Vec::new();
        let mut standing = self.members.iter_mut().filter(|(_, member)| member.sent == before || rules.node_cursor());
        let mut near = Vec::with_capacity(FETCHED);
        loop {
            near.extend(standing.by_ref().take(FETCHED).inspect(|(_, member)| member.outbox.fetch()));
            if near.is_empty() {
                break;
            }
            for (session, member) in near.drain(..) {
                member.sent = entry.offset;
                match member.outbox.message(entry, Some(&to_all)) {
                    Ok(()) => sessions += 1,
                    Err(Closed) => closed.push(*session),
                }
            }
        }
        let failed = closed.len();
        for session in closed {
            self.members.remove(&session);
        }
        spans::fanned_out(&fanout, sessions, failed);
        handed.sessions += sessions;
        handed.failed += failed;
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
