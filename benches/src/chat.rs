//! A long chat as its history: every member receives every message, resumes now and then, and some messages are retried
//! or never answered.

use chaos_observe::{At, Content, History, Offset, Op, Record, history::Builder};

/// How large; `messages` is per room.
#[derive(Clone, Copy, Debug)]
pub struct Chat {
    pub rooms: u32,
    pub members: u32,
    pub messages: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A system with offsets that is right.
    Log,
    /// One without, also right; order must be found from what members saw.
    WithoutOffsets,
    /// With offsets; one delivery in a thousand is lost, one comes twice, two are swapped.
    Lossy,
}

/// Messages between two losses of a member's connection.
const RESUME_EVERY: u32 = 1000;
const STEP: u128 = 1 << 32;

impl Chat {
    /// A small one of the same shape.
    pub fn sized(self, smoke: bool) -> Chat {
        if smoke { Chat { rooms: self.rooms.min(4), members: self.members.min(10), messages: 50 } } else { self }
    }

    pub fn history(self, kind: Kind) -> History {
        let mut writer = Writer { chat: self, kind, builder: Builder::default(), at: 0 };
        (0..self.rooms).for_each(|room| writer.enter(room));
        for nth in 1..=self.messages {
            (0..self.rooms).for_each(|room| writer.message(room, nth));
        }
        (0..self.rooms).for_each(|room| writer.final_read(room));
        writer.builder.finish()
    }
}

struct Writer {
    chat: Chat,
    kind: Kind,
    builder: Builder,
    at: u64,
}

impl Writer {
    fn add(&mut self, user: &str, op: Op) {
        self.at += 1;
        self.builder.add(&Record { at: At(self.at), user: user.to_owned(), op });
    }

    fn offset(&self, nth: u32) -> Option<Offset> {
        (self.kind != Kind::WithoutOffsets).then_some(Offset(STEP * u128::from(nth + 1)))
    }

    fn enter(&mut self, room: u32) {
        for member in 0..self.chat.members {
            self.connect(room, member, None, 0);
        }
    }

    fn connect(&mut self, room: u32, member: u32, asked: Option<u32>, head: u32) {
        let (user, node) = (user(room, member), format!("chat-{}", member % 3 + 1));
        self.add(&user, Op::Up { node });
        let (room, asked) = (format!("r{room}"), asked.and_then(|asked| self.offset(asked)));
        let offset = asked.or(self.offset(head));
        self.add(&user, Op::Join { room: room.clone(), offset: asked });
        self.add(&user, Op::JoinOk { room, offset, head: self.offset(head), recovered: true });
    }

    fn message(&mut self, room: u32, nth: u32) {
        let sender = user(room, nth % self.chat.members);
        let (message, content, intended) = (format!("{sender}-{nth:06}"), Content(u64::from(nth)), At(self.at));
        let send = |attempt| Op::Send {
            message: message.clone(),
            room: format!("r{room}"),
            attempt,
            intended,
            content,
            canary: false,
        };
        self.add(&sender, send(1));
        match nth % 50 {
            1 => self.add(&sender, Op::SendInfo { message: message.clone(), why: "timed out".to_owned() }),
            2 => {
                self.add(&sender, Op::SendInfo { message: message.clone(), why: "timed out".to_owned() });
                self.add(&sender, send(2));
                self.add(&sender, Op::SendOk { message: message.clone(), offset: self.offset(nth) });
            }
            _ => self.add(&sender, Op::SendOk { message: message.clone(), offset: self.offset(nth) }),
        }
        for member in 0..self.chat.members {
            self.deliver(room, member, nth);
        }
    }

    fn deliver(&mut self, room: u32, member: u32, nth: u32) {
        let lossy = self.kind == Kind::Lossy;
        match (nth + member * 7) % 1000 {
            3 if lossy => {}
            4 if lossy => [nth, nth].into_iter().for_each(|nth| self.receive(room, member, nth)),
            5 if lossy && nth < self.chat.messages => {}
            6 if lossy && nth > 1 => [nth, nth - 1].into_iter().for_each(|nth| self.receive(room, member, nth)),
            _ => self.receive(room, member, nth),
        }
        let resumes = self.kind != Kind::WithoutOffsets && (nth + member * 13).is_multiple_of(RESUME_EVERY);
        if resumes {
            self.add(&user(room, member), Op::Down { why: "cut".to_owned() });
            self.connect(room, member, Some(nth), nth);
        }
    }

    fn receive(&mut self, room: u32, member: u32, nth: u32) {
        let sender = user(room, nth % self.chat.members);
        let op = Op::Recv {
            room: format!("r{room}"),
            message: format!("{sender}-{nth:06}"),
            sender,
            offset: self.offset(nth),
            content: Content(u64::from(nth)),
            replay: false,
            hidden: false,
        };
        self.add(&user(room, member), op);
    }

    fn final_read(&mut self, room: u32) {
        if self.kind == Kind::WithoutOffsets {
            return;
        }
        for nth in 1..=self.chat.messages {
            let sender = user(room, nth % self.chat.members);
            let (message, content) = (format!("{sender}-{nth:06}"), Content(u64::from(nth)));
            let offset = self.offset(nth).unwrap_or_default();
            self.add("reader", Op::Final { room: format!("r{room}"), message, sender, offset, content });
        }
        let head = self.offset(self.chat.messages).unwrap_or_default();
        self.add("reader", Op::FinalEnd { room: format!("r{room}"), head });
    }
}

fn user(room: u32, member: u32) -> String {
    format!("u{room}.{member}")
}
