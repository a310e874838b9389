//! The history as it is judged: names are numbers, equal receipts share one entry, and what one member received in one
//! room is one sequence with its joins and losses of connection between.
//!
//! A correct message has one [`Entry`] however many members received it; whatever a receipt has wrong makes another
//! entry. So what concerns contents is looked at once per message, and what concerns order costs an index per receipt.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash},
};

use super::{
    names::{Names, Quick},
    order,
    record::{Content, Offset, Op, Record},
};
use crate::At;

/// Bits of [`Receipts::flags`].
pub mod flag {
    pub const REPLAY: u8 = 1;
    pub const HIDDEN: u8 = 2;
}

/// Numbers in other fields are indices: of a user into `users`, of a message into `messages`, and so on. Messages,
/// entries and lanes of one room are together, so that going through a room stays within little memory.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub users: Names,
    pub room_names: Names,
    pub nodes: Names,
    pub message_names: Names,
    /// By number of `message_names`; also messages that nobody sent.
    pub messages: Vec<Message>,
    /// By number of `room_names`.
    pub rooms: Vec<Room>,
    pub acks: Vec<Ack>,
    pub entries: Vec<Entry>,
    pub lanes: Vec<Lane>,
    /// When the last record was made.
    pub end: At,
    /// How many records it was made of.
    pub records: u64,
}

/// What became of a message at its sender. Room, sender, content are what was sent; they mean nothing when
/// `attempts` is 0, since then nobody sent it.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub room: u32,
    pub sender: u32,
    pub content: Content,
    pub intended: At,
    pub canary: bool,
    pub attempts: u32,
    pub refused: u32,
    pub unanswered: u32,
    pub first_send: Option<Moment>,
    pub first_ack: Option<Moment>,
}

/// A time and the record's place among all records: what one user did can be told apart within a microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub at: At,
    pub nth: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct Ack {
    pub message: u32,
    pub at: At,
    pub offset: Option<Offset>,
}

/// A message as it was received, or read at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    pub room: u32,
    pub message: u32,
    pub sender: u32,
    pub offset: Option<Offset>,
    pub content: Content,
}

/// The final read of a room.
#[derive(Clone, Debug, Default)]
pub struct Room {
    /// In the order read.
    pub finals: Vec<Final>,
    /// Where the log ended; `None` when the final read is not complete.
    pub head: Option<Offset>,
    /// When the final read was complete.
    pub read_at: Option<At>,
}

#[derive(Clone, Copy, Debug)]
pub struct Final {
    pub at: At,
    pub entry: u32,
}

/// One member in one room.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    pub user: u32,
    pub room: u32,
    pub marks: Vec<LaneMark>,
    pub receipts: Receipts,
}

/// Side by side, so that a pass reads only what it needs.
#[derive(Clone, Debug, Default)]
pub struct Receipts {
    pub entry: Vec<u32>,
    pub at: Vec<At>,
    pub flags: Vec<u8>,
}

impl Receipts {
    pub fn len(&self) -> usize {
        self.entry.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entry.is_empty()
    }
}

/// What happened to the member between receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneMark {
    pub at: At,
    /// How many receipts came before it.
    pub receipts: usize,
    pub mark: Mark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Join { offset: Option<Offset> },
    JoinOk { offset: Option<Offset>, head: Option<Offset>, recovered: bool },
    Leave,
    LeaveOk { offset: Option<Offset> },
    Up { node: u32 },
    Down,
}

impl History {
    pub fn of(records: impl IntoIterator<Item = Record>) -> History {
        let mut builder = Builder::default();
        for record in records {
            builder.add(&record);
        }
        builder.finish()
    }

    pub fn receipts(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.receipts.len() as u64).sum()
    }
}

/// Takes records one by one, in the order of the file.
#[derive(Debug, Default)]
pub struct Builder {
    history: History,
    entries: HashMap<Entry, u32, BuildHasherDefault<Quick>>,
    /// Per user: the lanes by room, and the connection.
    users: Vec<Links>,
}

#[derive(Debug, Default)]
struct Links {
    lanes: Vec<(u32, usize)>,
    up: Option<(At, u32)>,
}

impl Builder {
    pub fn finish(self) -> History {
        order::by_room(self.history)
    }

    pub fn add(&mut self, record: &Record) {
        let (at, nth) = (record.at, self.history.records);
        self.history.records += 1;
        self.history.end = self.history.end.max(at);
        let moment = Moment { at, nth };
        match &record.op {
            Op::Send { message, room, attempt: _, intended, content, canary } => {
                let (room, sender) = (self.room(room), self.user(&record.user));
                let message = self.message(message);
                let message = &mut self.history.messages[message as usize];
                if message.attempts == 0 {
                    let (intended, canary) = (*intended, *canary);
                    *message = Message { room, sender, content: *content, intended, canary, ..Message::default() };
                    message.first_send = Some(moment);
                }
                message.attempts += 1;
            }
            Op::SendOk { message, offset } => {
                let message = self.message(message);
                self.history.acks.push(Ack { message, at, offset: *offset });
                self.history.messages[message as usize].first_ack.get_or_insert(moment);
            }
            Op::SendFail { message, .. } => self.sent(message).refused += 1,
            Op::SendInfo { message, .. } => self.sent(message).unanswered += 1,
            Op::Join { room, offset } => self.mark(record, room, Mark::Join { offset: *offset }),
            Op::JoinOk { room, offset, head, recovered } => {
                let mark = Mark::JoinOk { offset: *offset, head: *head, recovered: *recovered };
                self.mark(record, room, mark);
            }
            Op::Leave { room } => self.mark(record, room, Mark::Leave),
            Op::LeaveOk { room, offset } => self.mark(record, room, Mark::LeaveOk { offset: *offset }),
            Op::Up { node } => {
                let node = self.history.nodes.number(node);
                self.connection(record, Mark::Up { node });
            }
            Op::Down { .. } => self.connection(record, Mark::Down),
            Op::Recv { room, message, sender, offset, content, replay, hidden } => {
                let lane = self.lane(&record.user, room);
                let entry = self.entry(room, message, sender, *offset, *content);
                let receipts = &mut self.history.lanes[lane].receipts;
                receipts.entry.push(entry);
                receipts.at.push(at);
                receipts.flags.push((u8::from(*replay) * flag::REPLAY) | (u8::from(*hidden) * flag::HIDDEN));
            }
            Op::Final { room, message, sender, offset, content } => {
                let entry = self.entry(room, message, sender, Some(*offset), *content);
                let room = self.room(room);
                self.history.rooms[room as usize].finals.push(Final { at, entry });
            }
            Op::FinalEnd { room, head } => {
                let room = self.room(room);
                let room = &mut self.history.rooms[room as usize];
                (room.head, room.read_at) = (Some(*head), Some(at));
            }
        }
    }

    fn user(&mut self, name: &str) -> u32 {
        let user = self.history.users.number(name);
        if user as usize == self.users.len() {
            self.users.push(Links::default());
        }
        user
    }

    fn room(&mut self, name: &str) -> u32 {
        let room = self.history.room_names.number(name);
        if room as usize == self.history.rooms.len() {
            self.history.rooms.push(Room::default());
        }
        room
    }

    fn message(&mut self, name: &str) -> u32 {
        let message = self.history.message_names.number(name);
        if message as usize == self.history.messages.len() {
            self.history.messages.push(Message::default());
        }
        message
    }

    fn sent(&mut self, name: &str) -> &mut Message {
        let message = self.message(name);
        &mut self.history.messages[message as usize]
    }

    fn entry(&mut self, room: &str, message: &str, sender: &str, offset: Option<Offset>, content: Content) -> u32 {
        let (room, message, sender) = (self.room(room), self.message(message), self.user(sender));
        let entry = Entry { room, message, sender, offset, content };
        let entries = &mut self.history.entries;
        *self.entries.entry(entry).or_insert_with(|| {
            entries.push(entry);
            entries.len() as u32 - 1
        })
    }

    fn lane(&mut self, user: &str, room: &str) -> usize {
        let (user, room) = (self.user(user), self.room(room));
        let links = &mut self.users[user as usize];
        if let Some((_, lane)) = links.lanes.iter().find(|(known, _)| *known == room) {
            return *lane;
        }
        let nth = self.history.lanes.len();
        links.lanes.push((room, nth));
        let up = links.up.map(|(at, node)| LaneMark { at, receipts: 0, mark: Mark::Up { node } });
        self.history.lanes.push(Lane { user, room, marks: up.into_iter().collect(), receipts: Receipts::default() });
        nth
    }

    fn mark(&mut self, record: &Record, room: &str, mark: Mark) {
        let lane = self.lane(&record.user, room);
        self.history.lanes[lane].mark(record.at, mark);
    }

    fn connection(&mut self, record: &Record, mark: Mark) {
        let user = self.user(&record.user) as usize;
        self.users[user].up = if let Mark::Up { node } = mark { Some((record.at, node)) } else { None };
        for (_, lane) in &self.users[user].lanes {
            self.history.lanes[*lane].mark(record.at, mark);
        }
    }
}

impl Lane {
    fn mark(&mut self, at: At, mark: Mark) {
        self.marks.push(LaneMark { at, receipts: self.receipts.len(), mark });
    }
}
