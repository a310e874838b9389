//! A small chat that works: nodes, rooms with a log, users that come and go. What happens to it is a list of steps that
//! proptest chooses; what comes out is the history that correct users of a correct system write.

use chaos_observe::{At, Content, Offset, Op, Record};
use proptest::prelude::*;

pub(crate) const NODES: usize = 3;
pub(crate) const ROOMS: usize = 2;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Acked,
    /// The first attempt was stored, but its answer did not come.
    AckedLater,
    Refused,
    /// Never answered, and in the log all the same.
    Stored,
    /// Never answered, never stored.
    Vanished,
}

/// Users and rooms are taken modulo how many there are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Say {
        user: usize,
        room: usize,
        outcome: Outcome,
    },
    /// The node sends the member up to so many messages that it has not had.
    Deliver {
        user: usize,
        room: usize,
        most: usize,
    },
    Leave {
        user: usize,
        room: usize,
    },
    Return {
        user: usize,
        room: usize,
        resume: bool,
    },
    Cut {
        user: usize,
    },
    /// Back after a cut, and in its rooms again.
    Connect {
        user: usize,
        node: usize,
    },
    KillNode {
        node: usize,
    },
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let user = 0..8usize;
    let room = 0..ROOMS;
    let outcome = prop_oneof![
        6 => Just(Outcome::Acked),
        2 => Just(Outcome::AckedLater),
        1 => Just(Outcome::Refused),
        1 => Just(Outcome::Stored),
        1 => Just(Outcome::Vanished),
    ];
    let say = (user.clone(), room.clone(), outcome).prop_map(|(user, room, outcome)| Step::Say { user, room, outcome });
    let deliver = (user.clone(), room.clone(), 1..6usize);
    let deliver = deliver.prop_map(|(user, room, most)| Step::Deliver { user, room, most });
    let leave = (user.clone(), room.clone()).prop_map(|(user, room)| Step::Leave { user, room });
    let back = (user.clone(), room, any::<bool>());
    let back = back.prop_map(|(user, room, resume)| Step::Return { user, room, resume });
    let cut = user.clone().prop_map(|user| Step::Cut { user });
    let connect = (user, 0..NODES).prop_map(|(user, node)| Step::Connect { user, node });
    let kill = (0..NODES).prop_map(|node| Step::KillNode { node });
    let step = prop_oneof![12 => say, 12 => deliver, 1 => leave, 1 => back, 1 => cut, 2 => connect, 1 => kill];
    prop::collection::vec(step, 20..160)
}

#[derive(Clone, Debug)]
struct Stored {
    offset: Offset,
    message: String,
    sender: String,
    content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Membership {
    Joined {
        head: Offset,
    },
    /// Cut off; it will resume.
    Away,
    Left,
}

struct Member {
    membership: Membership,
    cursor: Offset,
}

struct User {
    name: String,
    node: Option<usize>,
    rooms: Vec<Member>,
    said: u32,
}

pub(crate) struct World {
    at: u64,
    records: Vec<Record>,
    users: Vec<User>,
    logs: Vec<Vec<Stored>>,
}

const FIRST: Offset = Offset(1000);

impl World {
    pub(crate) fn run(users: usize, steps: &[Step]) -> Vec<Record> {
        let mut world = World::new(users);
        for step in steps {
            world.step(*step);
        }
        world.finish()
    }

    fn new(users: usize) -> World {
        let user = |nth| User { name: format!("u{nth}"), node: None, rooms: Vec::new(), said: 0 };
        let users = (0..users).map(user).collect();
        let mut world = World { at: 0, records: Vec::new(), users, logs: vec![Vec::new(); ROOMS] };
        for user in 0..world.users.len() {
            for _ in 0..ROOMS {
                world.users[user].rooms.push(Member { membership: Membership::Left, cursor: FIRST });
            }
            world.up(user, user % NODES);
            (0..ROOMS).for_each(|room| world.join(user, room, None));
        }
        world
    }

    fn step(&mut self, step: Step) {
        let count = self.users.len();
        match step {
            Step::Say { user, room, outcome } => self.say(user % count, room, outcome, false),
            Step::Deliver { user, room, most } => self.deliver(user % count, room, most),
            Step::Leave { user, room } => self.leave(user % count, room),
            Step::Return { user, room, resume } => self.come_back(user % count, room, resume),
            Step::Cut { user } => self.cut(user % count),
            Step::Connect { user, node } => self.connect(user % count, node),
            Step::KillNode { node } => {
                let on_node = |user: &usize| self.users[*user].node == Some(node);
                let on_node: Vec<_> = (0..count).filter(on_node).collect();
                for user in on_node {
                    self.cut(user);
                }
            }
        }
    }

    /// Everyone comes back and gets everything; canaries; the final read; goodbye.
    fn finish(mut self) -> Vec<Record> {
        for user in 0..self.users.len() {
            self.connect(user, user % NODES);
        }
        for room in 0..ROOMS {
            if let Some(sender) = (0..self.users.len()).find(|user| self.joined(*user, room)) {
                self.say(sender, room, Outcome::Acked, true);
            }
        }
        for user in 0..self.users.len() {
            (0..ROOMS).for_each(|room| self.deliver(user, room, usize::MAX));
        }
        for room in 0..ROOMS {
            self.final_read(room);
        }
        for user in 0..self.users.len() {
            self.cut(user);
        }
        self.records
    }

    fn record(&mut self, user: usize, op: Op) {
        let name = self.users[user].name.clone();
        self.write(name, op);
    }

    fn write(&mut self, user: String, op: Op) {
        self.at += 100;
        self.records.push(Record { at: At(self.at), user, op });
    }

    fn head(&self, room: usize) -> Offset {
        self.logs[room].last().map_or(FIRST, |stored| stored.offset)
    }

    fn joined(&self, user: usize, room: usize) -> bool {
        matches!(self.users[user].rooms[room].membership, Membership::Joined { .. })
    }

    fn say(&mut self, user: usize, room: usize, outcome: Outcome, canary: bool) {
        if !self.joined(user, room) {
            return;
        }
        self.users[user].said += 1;
        let message = format!("u{user}-{}", self.users[user].said);
        let content = Content::of(&message);
        let intended = At(self.at);
        let name = room_name(room);
        let send =
            |attempt| Op::Send { message: message.clone(), room: name.clone(), attempt, intended, content, canary };
        let info = || Op::SendInfo { message: message.clone(), why: "timed out".to_owned() };
        self.record(user, send(1));
        match outcome {
            Outcome::Acked => {
                let offset = Some(self.store(user, room, &message, content));
                self.record(user, Op::SendOk { message, offset });
            }
            Outcome::AckedLater => {
                let offset = Some(self.store(user, room, &message, content));
                self.record(user, info());
                self.record(user, send(2));
                self.record(user, Op::SendOk { message, offset });
            }
            Outcome::Refused => self.record(user, Op::SendFail { message, code: "rate_limited".to_owned() }),
            Outcome::Stored => {
                self.store(user, room, &message, content);
                self.record(user, info());
            }
            Outcome::Vanished => self.record(user, info()),
        }
    }

    fn store(&mut self, user: usize, room: usize, message: &str, content: Content) -> Offset {
        let offset = Offset(self.head(room).0 + 7);
        let sender = self.users[user].name.clone();
        self.logs[room].push(Stored { offset, message: message.to_owned(), sender, content });
        offset
    }

    fn deliver(&mut self, user: usize, room: usize, most: usize) {
        let Membership::Joined { head } = self.users[user].rooms[room].membership else { return };
        let cursor = self.users[user].rooms[room].cursor;
        let new = self.logs[room].iter().filter(|stored| stored.offset > cursor).take(most);
        for Stored { offset, message, sender, content } in new.cloned().collect::<Vec<_>>() {
            let replay = offset <= head;
            let of_message = Some(offset);
            let op =
                Op::Recv { room: room_name(room), message, sender, offset: of_message, content, replay, hidden: false };
            self.record(user, op);
            self.users[user].rooms[room].cursor = offset;
        }
    }

    fn join(&mut self, user: usize, room: usize, asked: Option<Offset>) {
        self.record(user, Op::Join { room: room_name(room), offset: asked });
        let head = self.head(room);
        let offset = asked.unwrap_or(head);
        let answer = Op::JoinOk { room: room_name(room), offset: Some(offset), head: Some(head), recovered: true };
        self.record(user, answer);
        self.users[user].rooms[room] = Member { membership: Membership::Joined { head }, cursor: offset };
    }

    /// The node answers with what it has sent so far.
    fn leave(&mut self, user: usize, room: usize) {
        if self.joined(user, room) {
            let offset = Some(self.users[user].rooms[room].cursor);
            self.record(user, Op::Leave { room: room_name(room) });
            self.record(user, Op::LeaveOk { room: room_name(room), offset });
            self.users[user].rooms[room].membership = Membership::Left;
        }
    }

    fn come_back(&mut self, user: usize, room: usize, resume: bool) {
        let member = &self.users[user].rooms[room];
        if self.users[user].node.is_some() && member.membership == Membership::Left {
            let asked = Some(member.cursor).filter(|_| resume);
            self.join(user, room, asked);
        }
    }

    fn up(&mut self, user: usize, node: usize) {
        self.record(user, Op::Up { node: format!("chat-{}", node + 1) });
        self.users[user].node = Some(node);
    }

    fn cut(&mut self, user: usize) {
        if self.users[user].node.take().is_some() {
            self.record(user, Op::Down { why: "cut".to_owned() });
            for member in &mut self.users[user].rooms {
                if let Membership::Joined { .. } = member.membership {
                    member.membership = Membership::Away;
                }
            }
        }
    }

    fn connect(&mut self, user: usize, node: usize) {
        if self.users[user].node.is_some() {
            return;
        }
        self.up(user, node);
        for room in 0..ROOMS {
            let member = &self.users[user].rooms[room];
            if member.membership == Membership::Away {
                self.join(user, room, Some(member.cursor));
            }
        }
    }

    fn final_read(&mut self, room: usize) {
        for Stored { offset, message, sender, content } in self.logs[room].clone() {
            let op = Op::Final { room: room_name(room), message, sender, offset, content };
            self.write("reader".to_owned(), op);
        }
        let head = self.head(room);
        self.write("reader".to_owned(), Op::FinalEnd { room: room_name(room), head });
    }
}

fn room_name(room: usize) -> String {
    format!("r{room}")
}

/// The same history as of a system without offsets: no resumption, no final read.
pub(crate) fn without_offsets(records: Vec<Record>) -> Vec<Record> {
    let keep = |record: &Record| !matches!(record.op, Op::Final { .. } | Op::FinalEnd { .. });
    records.into_iter().filter(keep).map(|record| Record { op: bare(record.op), ..record }).collect()
}

fn bare(op: Op) -> Op {
    match op {
        Op::SendOk { message, .. } => Op::SendOk { message, offset: None },
        Op::Join { room, .. } => Op::Join { room, offset: None },
        Op::JoinOk { room, .. } => Op::JoinOk { room, offset: None, head: None, recovered: true },
        Op::LeaveOk { room, .. } => Op::LeaveOk { room, offset: None },
        Op::Recv { room, message, sender, content, hidden, .. } => {
            Op::Recv { room, message, sender, offset: None, content, replay: false, hidden }
        }
        other => other,
    }
}
