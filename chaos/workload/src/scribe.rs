//! Writes down what happened to one user: into the history (all of it), the ledgers (what is owed), the spans.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use chaos_observe::At;
use system_client::{Event, What};
use system_protocol::{ChatMessage, MessageId, Offset, Room, TraceParent};

use crate::{
    crowd::Crowd,
    history::{Intent, operation},
    ledger::Ledger,
    traces::{Attempt, Outcome, Who},
    user::Start,
};

pub(crate) struct Scribe {
    crowd: Arc<Crowd>,
    user: String,
    stays: bool,
    /// Preferred first: what the client counts from 0.
    nodes: Vec<usize>,
    node: Option<usize>,
    rooms: BTreeMap<Room, Seat>,
    messages: HashMap<MessageId, Note>,
    left: BTreeMap<Room, Option<Offset>>,
    /// Where it left these, the node is yet to say.
    leaving: BTreeSet<Room>,
}

/// A room of this user.
struct Seat {
    room: usize,
    member: usize,
}

/// A message of this user whose end is not known.
struct Note {
    intent: Intent,
    root: TraceParent,
    attempt: Option<Attempt>,
}

impl Scribe {
    pub(crate) fn new(crowd: &Arc<Crowd>, start: &Start) -> Scribe {
        let seat = |room: &usize| {
            let member = crowd.rooms[*room].ledger().enrol(start.stays);
            (crowd.rooms[*room].name.clone(), Seat { room: *room, member })
        };
        Scribe {
            crowd: Arc::clone(crowd),
            user: start.name.clone(),
            stays: start.stays,
            nodes: start.nodes.clone(),
            node: None,
            rooms: start.rooms.iter().map(seat).collect(),
            messages: HashMap::new(),
            left: BTreeMap::new(),
            leaving: BTreeSet::new(),
        }
    }

    pub(crate) fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.rooms.keys()
    }

    pub(crate) fn members(&self) -> Arc<[usize]> {
        self.rooms.values().map(|seat| seat.member).collect()
    }

    /// The user leaves these rooms.
    pub(crate) fn leaves(&mut self, rooms: Vec<Room>) {
        self.left.clear();
        self.leaving.extend(rooms);
    }

    /// Whether the node has said where.
    pub(crate) fn has_left(&self) -> bool {
        self.leaving.is_empty()
    }

    /// Where the user left the room, as far as the node has said.
    pub(crate) fn left(&self, room: &Room) -> Option<Offset> {
        self.left.get(room).copied().flatten()
    }

    /// A message was handed to the client.
    pub(crate) fn due(&mut self, room: usize, id: MessageId, due: At, canary: bool, root: TraceParent) {
        self.crowd.rooms[room].ledger().due(id.clone(), due.0, self.stays || canary);
        self.messages.insert(id, Note { intent: Intent { due, canary }, root, attempt: None });
    }

    /// First the history, then what is made of it.
    pub(crate) fn note(&mut self, event: Event) {
        let at = self.crowd.clock.at(event.at);
        if let What::Up { node } = event.what {
            self.node = self.nodes.get(node).copied();
        }
        let intent = match &event.what {
            What::Sending { id, .. } => self.messages.get(id).map(|note| note.intent),
            _ => None,
        };
        if let Some(op) = operation(&event.what, self.node_name(), intent) {
            self.crowd.recorder.record(at, &self.user, op);
        }
        match event.what {
            What::Down { .. } => self.down(),
            What::Joined { joined } => {
                self.with_seat(&joined.room, |ledger, me| ledger.joined(me, joined.offset, joined.recovered));
            }
            What::Leaving { room } => self.with_seat(&room, Ledger::parted),
            What::JoinRefused { room, refusal } => {
                self.leaving.remove(&room);
                self.trouble(format_args!("does not get into {room}: {refusal}"));
                self.with_seat(&room, Ledger::parted);
            }
            What::Unreachable { node, why } => {
                let node = self.nodes.get(node).map(|node| self.crowd.targets.nodes[*node].name.as_str());
                self.trouble(format_args!("does not reach {}: {why}", node.unwrap_or("a node")));
            }
            What::Left { left } => {
                self.leaving.remove(&left.room);
                self.left.insert(left.room, left.offset);
            }
            What::Received { message, replay, hidden } => self.received(at, &message, replay, hidden),
            about_a_message => self.note_of_message(at, about_a_message),
        }
    }

    fn note_of_message(&mut self, at: At, what: What) {
        match what {
            What::Sending { id, room, attempt, traceparent, .. } => {
                if let Some(note) = self.messages.get_mut(&id) {
                    note.attempt = traceparent.map(|trace| Attempt {
                        root: note.root,
                        due: note.intent.due,
                        number: attempt,
                        trace,
                        began: at,
                    });
                }
                self.with_seat(&room, |ledger, _| ledger.attempted(attempt == 1));
            }
            What::Acked { id, room, sent, .. } => {
                self.with_seat(&room, |ledger, _| ledger.acked(&id, sent.offset, at.0));
                self.end_attempt(at, &room, &id, &Outcome::Acked(sent.offset));
                self.messages.remove(&id);
            }
            What::Refused { id, room, refusal, again, .. } => {
                self.with_seat(&room, |ledger, _| ledger.counts.refused += 1);
                self.end_attempt(at, &room, &id, &Outcome::Refused(refusal.code));
                if !again {
                    self.over(&room, &id);
                }
            }
            What::TimedOut { id, room, .. } => self.indeterminate(at, &room, &id, "timed out"),
            What::Cut { id, room, .. } => self.indeterminate(at, &room, &id, "cut"),
            What::Unknown { id, room, .. } => {
                self.with_seat(&room, |ledger, _| ledger.counts.unknown += 1);
                self.over(&room, &id);
            }
            What::Overflowed { id, room } | What::Unsent { id, room } => {
                self.with_seat(&room, |ledger, _| ledger.counts.unsent += 1);
                self.over(&room, &id);
            }
            _ => {}
        }
    }

    fn trouble(&self, what: std::fmt::Arguments<'_>) {
        self.crowd.troubled(format!("{} {what}", self.user));
    }

    fn down(&mut self) {
        self.node = None;
        for seat in self.rooms.values() {
            let mut ledger = self.crowd.rooms[seat.room].ledger();
            ledger.parted(seat.member);
            ledger.counts.downs += 1;
        }
    }

    fn indeterminate(&mut self, at: At, room: &Room, id: &MessageId, why: &'static str) {
        self.with_seat(room, |ledger, _| ledger.counts.indeterminate += 1);
        self.end_attempt(at, room, id, &Outcome::Indeterminate(why));
    }

    fn over(&mut self, room: &Room, id: &MessageId) {
        self.with_seat(room, |ledger, _| ledger.ended(id));
        self.messages.remove(id);
    }

    fn end_attempt(&mut self, at: At, room: &Room, id: &MessageId, outcome: &Outcome) {
        if let Some(attempt) = self.messages.get_mut(id).and_then(|note| note.attempt.take()) {
            let who = Who { user: &self.user, room: room.as_str(), node: self.node_name() };
            self.crowd.traces.sent(&who, id, &attempt, at, outcome);
        }
    }

    fn received(&mut self, at: At, message: &ChatMessage, replay: bool, hidden: bool) {
        self.with_seat(&message.room, |ledger, me| {
            ledger.counts.received += 1;
            ledger.counts.replayed += u64::from(replay);
            ledger.counts.hidden += u64::from(hidden);
            if !hidden {
                ledger.received(me, &message.id, message.offset, at.0);
            }
        });
        let who = Who { user: &self.user, room: message.room.as_str(), node: self.node_name() };
        self.crowd.traces.received(&who, message, at, replay, hidden);
    }

    fn node_name(&self) -> &str {
        self.node.map_or("nowhere", |node| self.crowd.targets.nodes[node].name.as_str())
    }

    /// A room that is not ours is in the history all the same.
    fn with_seat(&self, room: &Room, change: impl FnOnce(&mut Ledger, usize)) {
        if let Some(seat) = self.rooms.get(room) {
            change(&mut self.crowd.rooms[seat.room].ledger(), seat.member);
        }
    }
}
