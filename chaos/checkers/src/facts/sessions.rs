//! The sessions of one member in one room, and the slice of the room that each is owed.
//!
//! A slice begins where the node said that messages follow from (`joined.offset`) and ends at: the offset that `leave`
//! answered; at a loss of connection, the last receipt; at the end of the run, the log's end. A session that resumes
//! after a loss of connection begins where the one before ended, so that between them they owe the gap.

use chaos_observe::{
    At, Offset,
    history::{Lane, LaneMark, Mark, Room},
};

use super::places::{NOWHERE, Places};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The connection was lost.
    Down { at: At },
    /// `asked_at` is when the leave went on the wire.
    Left { asked_at: At, at: At, offset: Option<Offset> },
    /// It was there when the room's final read was complete.
    Run,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) node: Option<u32>,
    /// When the join went on the wire.
    pub(crate) asked_at: At,
    /// Where the member wanted to resume.
    pub(crate) asked: Option<Offset>,
    pub(crate) joined_at: At,
    pub(crate) start: Option<Offset>,
    pub(crate) head: Option<Offset>,
    pub(crate) recovered: bool,
    pub(crate) end: End,
    /// The session before ended by a leave.
    pub(crate) after_leave: bool,
    /// Its receipts.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Its slice, as ranks.
    pub(crate) low: u32,
    pub(crate) high: u32,
}

impl Session {
    pub(crate) fn resumes(&self) -> bool {
        self.asked.is_some() && self.recovered
    }

    /// When membership stopped being certain.
    pub(crate) fn ends_at(&self) -> At {
        match self.end {
            End::Down { at } => at,
            End::Left { asked_at, .. } => asked_at,
            End::Run => At(u64::MAX),
        }
    }

    pub(crate) fn covers(&self, rank: u32) -> bool {
        (self.low..self.high).contains(&rank)
    }
}

pub(crate) fn of(lane: &Lane, room: &Room, places: &Places, rank_of: &[u32]) -> Vec<Session> {
    let mut reader = Reader::default();
    for mark in &lane.marks {
        // What comes after the final read is the harness going home.
        let over = room.read_at.is_some_and(|read| mark.at >= read);
        reader.read(mark, over);
    }
    let mut sessions = reader.done(lane.receipts.len());
    let mut before: Option<Session> = None;
    for session in &mut sessions {
        slice(session, before.as_ref(), lane, room, places, rank_of);
        before = Some(session.clone());
    }
    sessions
}

#[derive(Default)]
struct Reader {
    sessions: Vec<Session>,
    open: bool,
    node: Option<u32>,
    asked: Option<(At, Option<Offset>)>,
    leave_asked: Option<At>,
}

impl Reader {
    fn read(&mut self, mark: &LaneMark, over: bool) {
        match mark.mark {
            Mark::Up { node } => self.node = Some(node),
            Mark::Down => {
                if !over {
                    self.close(End::Down { at: mark.at }, mark.receipts);
                }
                (self.node, self.asked, self.leave_asked) = (None, None, None);
            }
            Mark::Join { offset } => self.asked = Some((mark.at, offset)),
            Mark::JoinOk { offset, head, recovered } => self.joined(mark, offset, head, recovered),
            Mark::Leave => self.leave_asked = Some(mark.at),
            Mark::LeaveOk { offset } if !over => {
                let asked_at = self.leave_asked.take().unwrap_or(mark.at);
                self.close(End::Left { asked_at, at: mark.at, offset }, mark.receipts);
            }
            Mark::LeaveOk { .. } => {}
        }
    }

    /// A room already joined answers its position and replays nothing: the session goes on.
    fn joined(&mut self, mark: &LaneMark, start: Option<Offset>, head: Option<Offset>, recovered: bool) {
        let (asked_at, asked) = self.asked.take().unwrap_or((mark.at, None));
        if self.open {
            return;
        }
        self.open = true;
        self.sessions.push(Session {
            node: self.node,
            asked_at,
            asked,
            joined_at: mark.at,
            start,
            head,
            recovered,
            end: End::Run,
            after_leave: self.sessions.last().is_some_and(|before| matches!(before.end, End::Left { .. })),
            from: mark.receipts,
            to: mark.receipts,
            low: 0,
            high: 0,
        });
    }

    fn close(&mut self, end: End, receipts: usize) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        if let Some(session) = self.sessions.last_mut() {
            (session.end, session.to) = (end, receipts);
        }
    }

    fn done(mut self, receipts: usize) -> Vec<Session> {
        self.close(End::Run, receipts);
        self.sessions
    }
}

fn slice(session: &mut Session, before: Option<&Session>, lane: &Lane, room: &Room, places: &Places, rank_of: &[u32]) {
    let start = session.start.map_or(0, |start| places.after(start));
    session.low = match (session.resumes(), before) {
        (true, Some(Session { end: End::Down { .. }, high, .. })) => *high,
        (true, _) => session.asked.map_or(start, |asked| places.after(asked)).min(start),
        (false, _) => start,
    };
    let receipts = lane.receipts.entry[session.from..session.to].iter();
    let ranks = receipts.map(|entry| rank_of[*entry as usize]).filter(|rank| *rank != NOWHERE);
    let last_receipt = || ranks.max().map_or(0, |rank| rank + 1);
    let high = match session.end {
        End::Left { offset: Some(offset), .. } => places.after(offset),
        End::Left { offset: None, .. } | End::Down { .. } => last_receipt(),
        End::Run => room.head.map_or(places.len(), |head| places.after(head)),
    };
    session.high = high.max(session.low);
}
