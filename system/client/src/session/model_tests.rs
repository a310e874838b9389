//! The session against every order of events that chance comes up with: the promises that hold whatever a node does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};
use system_protocol::{Code, MessageId, Offset, Refusal, Room, Submit};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Session;
use crate::{Config, What, Why};

const QUEUE: usize = 6;
const HORIZON: Duration = Duration::from_secs(20);

/// What happens next.
#[derive(Debug, Clone)]
enum Turn {
    Join(u8, Option<u8>),
    Leave(u8),
    Send(u8),
    /// The connection comes up as far as it can without a `joined`.
    Connect,
    Cut,
    /// The node answers the n-th of its open questions.
    Answer(u8, Reply),
    Message(u8, u8),
    Joined(u8, u8, bool),
    Draining,
    Wait(u16),
    Frame(String),
}

#[derive(Debug, Clone)]
enum Reply {
    Yes(u8, bool),
    No(Code),
}

fn turns() -> impl Strategy<Value = Turn> {
    let code = prop::sample::select(Code::ALL.to_vec());
    let reply = prop_oneof![
        3 => (any::<u8>(), any::<bool>()).prop_map(|(seq, recovered)| Reply::Yes(seq, recovered)),
        1 => code.prop_map(Reply::No),
    ];
    prop_oneof![
        3 => (0..3u8, proptest::option::of(any::<u8>())).prop_map(|(room, at)| Turn::Join(room, at)),
        1 => (0..3u8).prop_map(Turn::Leave),
        6 => (0..3u8).prop_map(Turn::Send),
        4 => Just(Turn::Connect),
        1 => Just(Turn::Cut),
        9 => (any::<u8>(), reply).prop_map(|(which, reply)| Turn::Answer(which, reply)),
        6 => (0..3u8, any::<u8>()).prop_map(|(room, seq)| Turn::Message(room, seq)),
        2 => (0..3u8, any::<u8>(), any::<bool>()).prop_map(|(room, seq, ok)| Turn::Joined(room, seq, ok)),
        1 => Just(Turn::Draining),
        4 => (0..9000u16).prop_map(Turn::Wait),
        1 => "[0-4]{0,2}[0-9]{0,3}[\\[\\]{}\":a-z]{0,12}".prop_map(Turn::Frame),
    ]
}

/// A node, a clock, and an owner that remembers.
struct World {
    session: Session,
    events: UnboundedReceiver<crate::Event>,
    now: Instant,
    connected: bool,
    /// (ack id, event, payload)
    open: Vec<(u64, String, Value)>,
    written: BTreeMap<MessageId, Room>,
    told: Vec<crate::Event>,
}

fn room(n: u8) -> Room {
    Room::parse(&format!("r{n}")).unwrap()
}

fn offset(seq: u8) -> Offset {
    Offset::new(1, seq.into()).unwrap()
}

impl World {
    fn new(seed: u64) -> World {
        let (tell, events) = unbounded_channel();
        let mut config = Config::new(&["ws://h:1", "ws://h:2"], "t").unwrap();
        (config.seed, config.queue_limit, config.retry_horizon) = (seed, QUEUE, HORIZON);
        World {
            session: Session::new(config, tell),
            events,
            now: Instant::now(),
            connected: false,
            open: Vec::new(),
            written: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Join(n, at) => self.session.join(room(n), at.map(offset)),
            Turn::Leave(n) => drop(self.session.leave(&room(n), self.now)),
            Turn::Send(n) => self.send(&room(n)),
            Turn::Connect => self.connect(),
            Turn::Cut => self.lost(Why::Lost("cut".into())),
            Turn::Answer(which, reply) => self.answer(which, &reply),
            Turn::Message(n, seq) => self.frame(&event("chat-message", &message(n, seq))),
            Turn::Joined(n, seq, recovered) => self.frame(&event("joined", &joined(&room(n), seq, recovered))),
            Turn::Draining => self.frame(&event("draining", &json!({ "reconnect_within_ms": 3000 }))),
            Turn::Wait(ms) => self.now += Duration::from_millis(ms.into()),
            Turn::Frame(frame) => self.frame(&frame),
        }
        self.advance();
        while let Ok(event) = self.events.try_recv() {
            self.told.push(event);
        }
    }

    fn send(&mut self, room: &Room) {
        if self.session.wants(room) {
            let id = MessageId::parse(&format!("m{}", self.written.len())).unwrap();
            let mut submit = Submit::new("x", room.clone(), None).unwrap();
            submit.id = Some(id.clone());
            self.written.insert(id.clone(), room.clone());
            self.session.send(room, id, submit, self.now);
        }
    }

    fn connect(&mut self) {
        if !self.connected && self.session.mood() == super::Mood::Eager {
            self.session.dialed(self.now, self.now);
            self.connected = true;
            self.frame(r#"0{"pingInterval":9000,"pingTimeout":9000}"#);
            self.advance();
            self.frame("40");
        }
    }

    fn answer(&mut self, which: u8, reply: &Reply) {
        if self.open.is_empty() {
            return;
        }
        let (ack, event, payload) = self.open.remove(usize::from(which) % self.open.len());
        let answer = match reply {
            Reply::No(code) => Refusal::new(*code, "no").answer(),
            Reply::Yes(seq, recovered) => match event.as_str() {
                "chat-message" => json!({ "id": payload["id"], "offset": offset(*seq), "timestamp": 1 }),
                "join" => joined(&payload["room"].as_str().unwrap().parse().unwrap(), *seq, *recovered),
                _ => json!({ "room": payload["room"], "offset": offset(*seq) }),
            },
        };
        self.frame(&format!("43{ack}{}", json!([answer])));
    }

    fn frame(&mut self, frame: &str) {
        if self.connected
            && let Err(why) = self.session.receive(frame, self.now)
        {
            self.lost(why);
        }
    }

    fn advance(&mut self) {
        match self.session.advance(self.now) {
            Ok(step) => step.frames.iter().for_each(|frame| self.hear(frame)),
            Err(why) => self.lost(why),
        }
    }

    fn hear(&mut self, frame: &str) {
        if let Some(event) = frame.strip_prefix("42") {
            let (ack, json) = event.split_at(event.find('[').unwrap());
            let (name, payload) = serde_json::from_str(json).unwrap();
            self.open.push((ack.parse().unwrap(), name, payload));
        }
    }

    fn lost(&mut self, why: Why) {
        if self.connected {
            self.connected = false;
            self.open.clear();
            self.session.lost(why, self.now);
        }
    }

    fn end(mut self) -> Self {
        self.session.close();
        self.lost(Why::Closed);
        self.session.finish(self.now);
        while let Ok(event) = self.events.try_recv() {
            self.told.push(event);
        }
        self
    }
}

fn event(name: &str, payload: &Value) -> String {
    format!("42{}", json!([name, payload]))
}

fn message(n: u8, seq: u8) -> Value {
    json!({ "id": "i", "room": room(n), "sender": "u", "content": "x", "timestamp": 1, "offset": offset(seq) })
}

fn joined(room: &Room, seq: u8, recovered: bool) -> Value {
    json!({ "room": room, "offset": offset(seq), "head": offset(seq.saturating_add(5)), "recovered": recovered })
}

/// The message that an event ends, if it ends one.
fn ended(what: &What) -> Option<&MessageId> {
    match what {
        What::Acked { id, .. }
        | What::Refused { id, again: false, .. }
        | What::Unknown { id, .. }
        | What::Overflowed { id, .. }
        | What::Unsent { id, .. } => Some(id),
        _ => None,
    }
}

/// In each room the next message is sent only when the one before has ended, so order is kept and one is in flight;
/// nothing is sent after its end or after the horizon; attempts are counted from 1 without a gap.
fn sends_keep_order(told: &[crate::Event]) {
    let (mut open, mut over) = (BTreeMap::<Room, (MessageId, u32, Instant)>::new(), BTreeSet::new());
    let mut last = BTreeMap::<Room, u32>::new();
    for event in told {
        if let What::Sending { id, room, attempt, .. } = &event.what {
            assert!(!over.contains(id), "{id} is sent after its end");
            let number = id.as_str()[1..].parse().unwrap();
            let (before, attempts, first) = open.entry(room.clone()).or_insert((id.clone(), 0, event.at));
            assert_eq!(before, id, "{id} overtakes {before}");
            assert_eq!(*attempt, *attempts + 1);
            assert!(event.at.duration_since(*first) < HORIZON, "{id} is sent beyond the horizon");
            assert!(last.insert(room.clone(), number).is_none_or(|last| last <= number), "{id} is out of order");
            *attempts += 1;
        }
        if let Some(id) = ended(&event.what) {
            assert!(over.insert(id.clone()), "{id} ends twice");
            open.retain(|_, (before, ..)| before != id);
        }
    }
}

/// What is shown of a room grows, except where the node has said that history is lost or the owner has left.
fn shown_once_and_in_order(told: &[crate::Event]) {
    let mut shown = BTreeMap::<Room, Offset>::new();
    for event in told {
        match &event.what {
            What::Received { message, hidden: false, .. } => {
                let before = shown.insert(message.room.clone(), message.offset.unwrap());
                assert!(before < message.offset, "{before:?} then {:?} in {}", message.offset, message.room);
            }
            What::Joined { joined } if !joined.recovered => drop(shown.remove(&joined.room)),
            What::Left { left } => drop(shown.remove(&left.room)),
            What::JoinRefused { room, .. } => drop(shown.remove(room)),
            _ => {}
        }
    }
}

/// A rejoin starts from the last message shown, or from where the last join began.
fn rejoins_from_what_was_received(told: &[crate::Event]) {
    let mut position = BTreeMap::<Room, Offset>::new();
    for event in told {
        match &event.what {
            What::Received { message, hidden: false, .. } => {
                position.insert(message.room.clone(), message.offset.unwrap());
            }
            What::Joined { joined } => {
                let before = position.get(&joined.room).filter(|_| joined.recovered);
                position
                    .insert(joined.room.clone(), joined.offset.unwrap().max(before.copied().unwrap_or(Offset::ZERO)));
            }
            What::Joining { room, offset } => {
                let before = position.get(room).copied();
                assert!(before.is_none() || before == *offset, "{before:?} but joins {offset:?} in {room}");
                if let Some(offset) = offset {
                    position.insert(room.clone(), *offset);
                }
            }
            What::Left { left } => drop(position.remove(&left.room)),
            What::JoinRefused { room, .. } => drop(position.remove(room)),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_the_promises_hold(seed in any::<u64>(), turns in proptest::collection::vec(turns(), 0..120)) {
        let mut world = World::new(seed);
        for turn in turns {
            world.take(turn);
            prop_assert!(world.session.queue().held() <= QUEUE);
        }
        let world = world.end();
        let ends: Vec<_> = world.told.iter().filter_map(|event| ended(&event.what)).cloned().collect();
        prop_assert_eq!(ends.len(), world.written.len());
        prop_assert_eq!(ends.into_iter().collect::<BTreeSet<_>>(), world.written.keys().cloned().collect());
        sends_keep_order(&world.told);
        shown_once_and_in_order(&world.told);
        rejoins_from_what_was_received(&world.told);
    }
}

#[test]
fn a_refused_token_leaves_no_reason_to_connect_until_it_is_renewed() {
    let mut world = World::new(0);
    world.take(Turn::Join(0, None));
    world.session.dialed(world.now, world.now);
    world.connected = true;
    world.frame(r#"0{"pingInterval":9000,"pingTimeout":9000}"#);
    world.frame(&format!("44{}", Refusal::new(Code::TokenExpired, "expired").connect_error()));
    assert!(!world.connected);
    assert_eq!(world.session.mood(), super::Mood::Idle);
    world.session.renew("fresh".into());
    assert_eq!(world.session.mood(), super::Mood::Eager);
}

/// `renewed`: the owner brought another token before the node's word of the old one.
fn expired_while_up(renewed: bool) -> super::Mood {
    let mut world = World::new(0);
    world.take(Turn::Join(0, None));
    world.take(Turn::Connect);
    world.take(Turn::Joined(0, 0, true));
    if renewed {
        world.session.renew("fresh".into());
    }
    world.frame(&format!("42{}", json!(["error", Refusal::new(Code::TokenExpired, "expired").event()])));
    assert!(!world.connected);
    world.session.mood()
}

#[test]
fn a_token_that_expires_while_we_are_in_is_not_tried_again_and_a_fresh_one_is() {
    assert_eq!(expired_while_up(false), super::Mood::Idle);
    assert_eq!(expired_while_up(true), super::Mood::Eager);
}
