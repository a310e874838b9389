//! Messages on their way out: bounded, in order, one in flight per room.
//!
//! Only the front of a room's lane is ever on the wire, so a retry cannot overtake what was written after it. Time is
//! passed in; what is decided here is told to the owner by the session.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use system_protocol::{MessageId, Room, Submit};

/// What the queue holds now, and what it had to give up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Queue {
    /// Never sent.
    pub waiting: usize,
    /// On the wire, the answer still in time.
    pub in_flight: usize,
    /// Sent, not on the wire now, to be sent again.
    pub unresolved: usize,
    /// Lost to the limit since the start.
    pub overflowed: u64,
}

impl Queue {
    /// Messages held.
    pub fn held(&self) -> usize {
        self.waiting + self.in_flight + self.unresolved
    }
}

pub(crate) struct Outbox {
    lanes: BTreeMap<Room, Lane>,
    limit: usize,
    held: usize,
    pushed: u64,
    overflowed: u64,
}

#[derive(Default)]
struct Lane {
    drafts: VecDeque<Draft>,
    /// When the front's answer is late, while it is on the wire.
    answer_by: Option<Instant>,
}

pub(crate) struct Draft {
    pub(crate) id: MessageId,
    pub(crate) submit: Submit,
    order: u64,
    pub(crate) attempts: u32,
    /// Attempts of which nothing is known.
    pub(crate) unanswered: u32,
    first_sent: Option<Instant>,
}

/// A message at some attempt.
pub(crate) struct Attempt {
    pub(crate) id: MessageId,
    pub(crate) room: Room,
    pub(crate) number: u32,
}

/// What a refusal did.
pub(crate) enum Refused {
    /// It stays, to be sent again.
    Kept,
    /// It is gone; true when an earlier attempt was never answered.
    Ended { unresolved: bool },
    /// It was gone already.
    Stranger,
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        Outbox { lanes: BTreeMap::new(), limit: limit.max(1), held: 0, pushed: 0, overflowed: 0 }
    }

    /// Returns what had to go: the oldest that was never sent, perhaps this very one.
    pub(crate) fn push(&mut self, room: &Room, id: MessageId, submit: Submit) -> Option<(Room, MessageId)> {
        self.pushed += 1;
        let draft = Draft { id, submit, order: self.pushed, attempts: 0, unanswered: 0, first_sent: None };
        self.lanes.entry(room.clone()).or_default().drafts.push_back(draft);
        self.held += 1;
        if self.held <= self.limit { None } else { self.overflow() }
    }

    fn overflow(&mut self) -> Option<(Room, MessageId)> {
        let oldest = self.lanes.iter().filter_map(|(room, lane)| {
            let place = lane.drafts.iter().position(|draft| draft.attempts == 0)?;
            Some((lane.drafts[place].order, room.clone(), place))
        });
        let (_, room, place) = oldest.min_by_key(|(order, ..)| *order)?;
        let gone = self.lanes.get_mut(&room)?.drafts.remove(place)?;
        self.held -= 1;
        self.overflowed += 1;
        Some((room, gone.id))
    }

    /// Puts the room's front on the wire, unless one is there already.
    pub(crate) fn launch(&mut self, room: &Room, now: Instant, ack_timeout: Duration) -> Option<&mut Draft> {
        let lane = self.lanes.get_mut(room)?;
        if lane.answer_by.is_some() {
            return None;
        }
        let draft = lane.drafts.front_mut()?;
        lane.answer_by = Some(now + ack_timeout);
        draft.attempts += 1;
        draft.unanswered += 1;
        draft.first_sent.get_or_insert(now);
        Some(draft)
    }

    /// An ack for any attempt ends the message. `None`: it had ended already.
    pub(crate) fn acked(&mut self, room: &Room, id: &MessageId) -> Option<Draft> {
        let front = self.lanes.get(room)?.drafts.front()?;
        if front.id == *id { self.pop(room) } else { None }
    }

    /// A late refusal of an earlier attempt settles that attempt only.
    pub(crate) fn refused(&mut self, room: &Room, id: &MessageId, attempt: u32, again: bool) -> Refused {
        let Some(lane) = self.lanes.get_mut(room) else { return Refused::Stranger };
        let Some(front) = lane.drafts.front_mut().filter(|front| front.id == *id) else { return Refused::Stranger };
        front.unanswered = front.unanswered.saturating_sub(1);
        if attempt != front.attempts {
            return Refused::Kept;
        }
        lane.answer_by = None;
        if again {
            return Refused::Kept;
        }
        let unresolved = front.unanswered > 0;
        self.pop(room);
        Refused::Ended { unresolved }
    }

    fn pop(&mut self, room: &Room) -> Option<Draft> {
        let lane = self.lanes.get_mut(room)?;
        lane.answer_by = None;
        let draft = lane.drafts.pop_front();
        if lane.drafts.is_empty() {
            self.lanes.remove(room);
        }
        self.held -= usize::from(draft.is_some());
        draft
    }

    /// Attempts whose answer is late; they are no longer in flight.
    pub(crate) fn late(&mut self, now: Instant) -> Vec<Attempt> {
        self.land(|answer_by| answer_by <= now)
    }

    /// The connection is gone: nothing is in flight any more.
    pub(crate) fn cut(&mut self) -> Vec<Attempt> {
        self.land(|_| true)
    }

    fn land(&mut self, which: impl Fn(Instant) -> bool) -> Vec<Attempt> {
        let landing = self.lanes.iter_mut().filter_map(|(room, lane)| {
            let front = lane.drafts.front()?;
            lane.answer_by.take_if(|by| which(*by))?;
            Some(Attempt { id: front.id.clone(), room: room.clone(), number: front.attempts })
        });
        landing.collect()
    }

    /// Takes out what was first sent too long ago, unless it is in flight: then its answer may still come.
    pub(crate) fn beyond(&mut self, now: Instant, horizon: Duration) -> Vec<(Room, MessageId)> {
        let old = |lane: &Lane| {
            let first_sent = lane.drafts.front()?.first_sent?;
            (lane.answer_by.is_none() && now.duration_since(first_sent) >= horizon).then_some(())
        };
        let rooms: Vec<Room> =
            self.lanes.iter().filter(|(_, lane)| old(lane).is_some()).map(|(room, _)| room.clone()).collect();
        rooms.into_iter().filter_map(|room| self.pop(&room).map(|draft| (room, draft.id))).collect()
    }

    /// Gives a room up: its drafts that are not in flight. True in a pair: it had been sent.
    pub(crate) fn abandon(&mut self, room: &Room) -> Vec<(MessageId, bool)> {
        let Some(lane) = self.lanes.get_mut(room) else { return Vec::new() };
        let flying = usize::from(lane.answer_by.is_some());
        let gone: Vec<_> = lane.drafts.drain(flying..).map(|draft| (draft.id, draft.attempts > 0)).collect();
        if lane.drafts.is_empty() {
            self.lanes.remove(room);
        }
        self.held -= gone.len();
        gone
    }

    pub(crate) fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.lanes.keys()
    }

    pub(crate) fn in_flight(&self) -> bool {
        self.lanes.values().any(|lane| lane.answer_by.is_some())
    }

    /// When [`late`](Self::late) or [`beyond`](Self::beyond) will next have something.
    pub(crate) fn deadline(&self, horizon: Duration) -> Option<Instant> {
        let of_lane = |lane: &Lane| {
            let beyond = || lane.drafts.front().and_then(|front| front.first_sent).map(|sent| sent + horizon);
            lane.answer_by.or_else(beyond)
        };
        self.lanes.values().filter_map(of_lane).min()
    }

    pub(crate) fn counts(&self) -> Queue {
        let in_flight = self.lanes.values().filter(|lane| lane.answer_by.is_some()).count();
        let sent = self.lanes.values().flat_map(|lane| &lane.drafts).filter(|draft| draft.attempts > 0).count();
        Queue { waiting: self.held - sent, in_flight, unresolved: sent - in_flight, overflowed: self.overflowed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn room(name: &str) -> Room {
        Room::parse(name).unwrap()
    }

    fn id(name: &str) -> MessageId {
        MessageId::parse(name).unwrap()
    }

    /// Pushes into the room that the id begins with.
    fn push(outbox: &mut Outbox, name: &str) -> Option<(Room, MessageId)> {
        let room = room(&name[..1]);
        let submit = Submit::new("x", room.clone(), None).unwrap();
        outbox.push(&room, id(name), submit)
    }

    #[test]
    fn the_oldest_goes_whatever_its_room_and_what_was_sent_stays() {
        let mut outbox = Outbox::new(3);
        for name in ["b1", "b2", "a3"] {
            assert_eq!(push(&mut outbox, name), None);
        }
        outbox.launch(&room("b"), Instant::now(), TIMEOUT);
        assert_eq!(push(&mut outbox, "a4"), Some((room("b"), id("b2"))));
        assert_eq!(push(&mut outbox, "a5"), Some((room("a"), id("a3"))));
        assert_eq!(outbox.counts(), Queue { waiting: 2, in_flight: 1, unresolved: 0, overflowed: 2 });
    }

    #[test]
    fn with_nothing_else_to_lose_the_newcomer_goes() {
        let mut outbox = Outbox::new(1);
        push(&mut outbox, "a1");
        outbox.launch(&room("a"), Instant::now(), TIMEOUT);
        assert_eq!(push(&mut outbox, "a2"), Some((room("a"), id("a2"))));
    }

    #[test]
    fn a_late_refusal_settles_its_own_attempt_only() {
        let (mut outbox, now, a) = (Outbox::new(9), Instant::now(), room("a"));
        push(&mut outbox, "a1");
        outbox.launch(&a, now, TIMEOUT);
        assert_eq!(outbox.late(now + TIMEOUT).len(), 1);
        outbox.launch(&a, now + TIMEOUT, TIMEOUT);
        assert!(matches!(outbox.refused(&a, &id("a1"), 1, false), Refused::Kept));
        assert_eq!(outbox.counts().in_flight, 1);
        // Both attempts are settled now, so a refusal is the whole truth.
        assert!(matches!(outbox.refused(&a, &id("a1"), 2, false), Refused::Ended { unresolved: false }));
        assert!(matches!(outbox.refused(&a, &id("a1"), 2, false), Refused::Stranger));
    }

    #[test]
    fn an_answer_in_time_is_not_late_and_one_in_flight_is_never_too_old() {
        let (mut outbox, now) = (Outbox::new(9), Instant::now());
        push(&mut outbox, "a1");
        outbox.launch(&room("a"), now, TIMEOUT);
        assert_eq!(outbox.deadline(TIMEOUT / 5), Some(now + TIMEOUT));
        let before = now + TIMEOUT.saturating_sub(Duration::from_millis(1));
        assert!(outbox.late(before).is_empty());
        assert!(outbox.beyond(before, TIMEOUT / 5).is_empty());
        assert_eq!(outbox.late(now + TIMEOUT).len(), 1);
        assert_eq!(outbox.beyond(now + TIMEOUT, TIMEOUT / 5), [(room("a"), id("a1"))]);
    }
}
