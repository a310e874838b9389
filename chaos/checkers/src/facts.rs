//! The history, read once for all rules: what became of each message, each room's known places in order, each member's
//! sessions and what it is owed.
//!
//! Rules then pass over receipts with indices only. A place of a room (*rank*) is the number of an offset among all
//! offsets that are known of the room, so that slices are ranges of ranks.

mod places;
mod seen;
mod sessions;

use chaos_observe::{
    History,
    history::{Lane, Mark, Message},
};

pub(crate) use places::{NOWHERE, Place, Places};
pub(crate) use seen::Seen;
pub(crate) use sessions::{End, Session};

use crate::{Question, Rule, lateness::Lateness};

/// Bits of [`LaneFacts::marks`], one byte a receipt.
pub(crate) mod mark {
    /// The lane had received this message before.
    pub(crate) const REPEAT: u8 = 1;
    /// Received within a session.
    pub(crate) const MEMBER: u8 = 2;
}

/// Acked if any attempt was, refused only if every attempt was, else indeterminate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nobody here sent it.
    NotSent,
    Acked,
    Refused,
    Indeterminate,
}

pub(crate) struct Facts<'h> {
    pub(crate) history: &'h History,
    pub(crate) question: &'h Question,
    pub(crate) lateness: Lateness,
    /// Whether the system has offsets.
    pub(crate) offsets: bool,
    /// By message.
    pub(crate) fates: Vec<Fate>,
    /// Whether the final read has the message.
    pub(crate) stored: Vec<bool>,
    /// By entry: its message, and its rank in its room.
    pub(crate) message_of: Vec<u32>,
    pub(crate) rank_of: Vec<u32>,
    /// By room.
    pub(crate) places: Vec<Places>,
    pub(crate) lanes: Vec<LaneFacts<'h>>,
    /// Indices of lanes by room.
    pub(crate) lanes_of: Vec<Vec<usize>>,
}

pub(crate) struct LaneFacts<'h> {
    pub(crate) lane: &'h Lane,
    pub(crate) sessions: Vec<Session>,
    pub(crate) marks: Vec<u8>,
}

impl<'h> Facts<'h> {
    pub(crate) fn of(history: &'h History, question: &'h Question) -> Facts<'h> {
        let offsets = history.acks.iter().any(|ack| ack.offset.is_some())
            || history.entries.iter().any(|entry| entry.offset.is_some())
            || history.rooms.iter().any(|room| room.head.is_some());
        let (places, rank_of) = places::of(history);
        let mut facts = Facts {
            history,
            question,
            lateness: Lateness::of(question),
            offsets,
            fates: history.messages.iter().map(fate).collect(),
            stored: stored(history),
            message_of: history.entries.iter().map(|entry| entry.message).collect(),
            rank_of,
            places,
            lanes: Vec::new(),
            lanes_of: vec![Vec::new(); history.rooms.len()],
        };
        let mut seen = Seen::new(history.messages.len());
        for (nth, lane) in history.lanes.iter().enumerate() {
            let lane = facts.lane(lane, &mut seen);
            facts.lanes_of[lane.lane.room as usize].push(nth);
            facts.lanes.push(lane);
        }
        facts
    }

    fn lane(&self, lane: &'h Lane, seen: &mut Seen) -> LaneFacts<'h> {
        let room = lane.room as usize;
        let sessions = sessions::of(lane, &self.history.rooms[room], &self.places[room], &self.rank_of);
        seen.forget();
        let repeats = lane.receipts.entry.iter().map(|entry| seen.insert(self.message_of[*entry as usize]));
        let mut marks: Vec<u8> = repeats.map(|new| if new { 0 } else { mark::REPEAT }).collect();
        for session in &sessions {
            marks[session.from..session.to].iter_mut().for_each(|marks| *marks |= mark::MEMBER);
        }
        LaneFacts { lane, sessions, marks }
    }

    pub(crate) fn message(&self, message: u32) -> &'h Message {
        &self.history.messages[message as usize]
    }

    pub(crate) fn fate(&self, message: u32) -> Fate {
        self.fates[message as usize]
    }

    /// Messages of one fate.
    pub(crate) fn with_fate(&self, fate: Fate) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.fates).filter(move |(_, of)| **of == fate).map(|(message, _)| message)
    }

    pub(crate) fn promised(&self, rule: Rule) -> bool {
        self.question.contract.promises(rule)
    }

    /// Makes `seen` hold what the lane received within its sessions.
    pub(crate) fn see(&self, lane: &LaneFacts<'_>, seen: &mut Seen) {
        seen.forget();
        for session in &lane.sessions {
            for entry in &lane.lane.receipts.entry[session.from..session.to] {
                seen.insert(self.message_of[*entry as usize]);
            }
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen::new(self.history.messages.len())
    }

    /// Rooms with acknowledged messages whose final read is missing, by name.
    pub(crate) fn unread_rooms(&self) -> Vec<&'h str> {
        let mut unread = vec![false; self.history.rooms.len()];
        for message in self.with_fate(Fate::Acked) {
            let room = self.message(message).room as usize;
            unread[room] |= self.history.rooms[room].head.is_none();
        }
        (0u32..).zip(unread).filter(|(_, unread)| *unread).map(|(room, _)| self.history.room_names.name(room)).collect()
    }
}

fn fate(message: &Message) -> Fate {
    match message {
        Message { attempts: 0, .. } => Fate::NotSent,
        Message { first_ack: Some(_), .. } => Fate::Acked,
        Message { attempts, refused, unanswered: 0, .. } if refused >= attempts => Fate::Refused,
        _ => Fate::Indeterminate,
    }
}

fn stored(history: &History) -> Vec<bool> {
    let mut stored = vec![false; history.messages.len()];
    for read in history.rooms.iter().flat_map(|room| &room.finals) {
        stored[history.entries[read.entry as usize].message as usize] = true;
    }
    stored
}

impl LaneFacts<'_> {
    /// Where the member was connected when it received this.
    pub(crate) fn node_at(&self, receipt: usize) -> Option<u32> {
        let before = self.lane.marks.iter().take_while(|mark| mark.receipts <= receipt);
        before.fold(None, |node, mark| match mark.mark {
            Mark::Up { node } => Some(node),
            Mark::Down => None,
            _ => node,
        })
    }

    /// The session that a place belongs to.
    pub(crate) fn session_covering(&self, rank: u32) -> Option<&Session> {
        self.sessions.iter().rev().find(|session| session.covers(rank))
    }
}
