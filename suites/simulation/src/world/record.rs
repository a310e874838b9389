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
        self.trace.event(u64::from(user.as_bytes().last().copied().unwrap_or(0)), [story(&op).as_bytes()]);
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

/// What tells one operation from another, for a person and for the hash.
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
