//! The history of a world, as the checkers read it.

use std::sync::{Arc, Mutex};

use chaos_observe::{At, Content, History, Op, Record};
use system_protocol as protocol;

use crate::trace::Trace;

#[derive(Clone)]
pub struct Ledger {
    records: Arc<Mutex<Vec<Record>>>,
    trace: Trace,
}

impl Ledger {
    pub fn new(trace: &Trace) -> Ledger {
        Ledger { records: Arc::default(), trace: trace.clone() }
    }

    pub fn now(&self) -> At {
        At::from_millis(self.trace.now_ms())
    }

    pub fn note(&self, user: &str, op: Op) {
        self.trace.say(|| format!("{user}: {}", story(&op)));
        let (kind, names, offset, more) = told(&op);
        let parts = [names[0].as_bytes(), names[1].as_bytes(), &offset.0.to_le_bytes(), &more.to_le_bytes()];
        self.trace.event(kind << 8 | u64::from(user.as_bytes().last().copied().unwrap_or(0)), parts);
        self.records.lock().expect("no panic while recording").push(Record {
            at: self.now(),
            user: user.to_owned(),
            op,
        });
    }

    /// What was noted, taken out: a world is judged once.
    pub fn take_history(&self) -> History {
        History::of(std::mem::take(&mut *self.records.lock().expect("no panic while recording")))
    }

    pub fn noted(&self) -> usize {
        self.records.lock().expect("no panic while recording").len()
    }

    /// Attempts that were refused.
    pub fn refusals(&self) -> u64 {
        let records = self.records.lock().expect("no panic while recording");
        records.iter().filter(|record| matches!(record.op, Op::SendFail { .. })).count() as u64
    }

    /// The lowest offset from which anybody entered a room: nothing of the run lies at or below it.
    pub fn first_offset(&self, room: &str) -> Option<chaos_observe::Offset> {
        let records = self.records.lock().expect("no panic while recording");
        let joined = records.iter().filter_map(|record| match &record.op {
            Op::JoinOk { room: joined, offset, .. } if joined == room => *offset,
            _ => None,
        });
        joined.min()
    }
}

pub fn offset(offset: protocol::Offset) -> chaos_observe::Offset {
    chaos_observe::Offset(offset.as_u128())
}

pub fn content(text: &str) -> Content {
    Content::of(text)
}

/// What tells one operation from another, for the hash: its kind, names, an offset, and what else there is.
fn told(op: &Op) -> (u64, [&str; 2], chaos_observe::Offset, u64) {
    let none = chaos_observe::Offset(0);
    let at = |offset: &Option<chaos_observe::Offset>| offset.unwrap_or(none);
    match op {
        Op::Send { message, room, attempt, .. } => (1, [message, room], none, u64::from(*attempt)),
        Op::SendOk { message, offset } => (2, [message, ""], at(offset), 0),
        Op::SendFail { message, code } => (3, [message, code], none, 0),
        Op::SendInfo { message, why } => (4, [message, why], none, 0),
        Op::Join { room, offset } => (5, [room, ""], at(offset), 0),
        Op::JoinOk { room, offset, head, recovered } => {
            (6, [room, ""], at(offset), at(head).0 as u64 ^ u64::from(*recovered) << 63)
        }
        Op::Leave { room } => (7, [room, ""], none, 0),
        Op::LeaveOk { room, offset } => (8, [room, ""], at(offset), 0),
        Op::Up { node } => (9, [node, ""], none, 0),
        Op::Down { why } => (10, [why, ""], none, 0),
        Op::Recv { room, message, offset, replay, hidden, .. } => {
            (11, [message, room], at(offset), u64::from(*replay) << 1 | u64::from(*hidden))
        }
        Op::Final { room, message, offset, .. } => (12, [message, room], *offset, 0),
        Op::FinalEnd { room, head } => (13, [room, ""], *head, 0),
    }
}

/// The same for a person.
fn story(op: &Op) -> String {
    let at = |offset: &Option<chaos_observe::Offset>| offset.map_or("none".to_owned(), |offset| offset.to_string());
    match op {
        Op::Send { message, room, attempt, .. } => format!("sends {message} to {room}, attempt {attempt}"),
        Op::SendOk { message, offset } => format!("{message} acked at {}", at(offset)),
        Op::SendFail { message, code } => format!("{message} refused: {code}"),
        Op::SendInfo { message, why } => format!("{message} without an answer: {why}"),
        Op::Join { room, offset } => format!("joins {room} from {}", at(offset)),
        Op::JoinOk { room, offset, head, recovered } => {
            format!("is in {room} from {}, head {}, recovered {recovered}", at(offset), at(head))
        }
        Op::Leave { room } => format!("leaves {room}"),
        Op::LeaveOk { room, offset } => format!("has left {room} at {}", at(offset)),
        Op::Up { node } => format!("up at {node}"),
        Op::Down { why } => format!("down: {why}"),
        Op::Recv { room, message, offset, replay, hidden, .. } => {
            let replay = if *replay { ", replayed" } else { "" };
            let hidden = if *hidden { ", hidden" } else { "" };
            format!("receives {message} of {room} at {}{replay}{hidden}", at(offset))
        }
        Op::Final { room, message, offset, .. } => format!("finds {message} in {room} at {offset}"),
        Op::FinalEnd { room, head } => format!("{room} ends at {head}"),
    }
}
