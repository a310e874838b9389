//! Rooms and members in any order of events; every member inflates with one window of its own, as a browser does, and
//! must read exactly what was said.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use system_wire::deflate::{Broadcast, Deflate, Numbers, Peer, Room, Sent, Settings};

use crate::browser::{Browser, plain};

const MEMBERS: usize = 9;
const ROOMS: usize = 3;
const STREAMS: usize = 2;
const THRESHOLDS: [usize; 2] = [0, 40];

/// What is offered, what window that means, and whether each message stands alone.
const OFFERS: &[(&str, u8, bool)] = &[
    ("permessage-deflate; client_max_window_bits", 15, false),
    ("permessage-deflate", 15, false),
    ("permessage-deflate; server_max_window_bits=9", 9, false),
    ("permessage-deflate; server_max_window_bits=12", 12, false),
    ("permessage-deflate; server_no_context_takeover; server_max_window_bits=10", 10, true),
    ("permessage-deflate; server_no_context_takeover", 15, true),
    ("", 15, false),
];

#[derive(Debug, Clone, Copy)]
enum Event {
    /// To all members of the room at once.
    Say {
        room: usize,
        text: Text,
    },
    /// To those at once whose bit is set; the others get it after the next message of anybody.
    SayUnevenly {
        room: usize,
        text: Text,
        early: u16,
    },
    /// To one member, outside any room.
    Tell {
        member: usize,
        text: Text,
    },
    Join {
        member: usize,
        room: usize,
    },
    Leave {
        member: usize,
        room: usize,
    },
    /// The connection is lost with whatever is on its way, and somebody else takes the place.
    Replace {
        member: usize,
        offer: usize,
    },
    /// Time goes by, long enough for quiet rooms to lose their streams, or not.
    Wait {
        seconds: u64,
    },
}

/// Words that repeat, with some that do not.
#[derive(Debug, Clone, Copy)]
struct Text {
    seed: u64,
    length: usize,
    binary: bool,
}

impl Text {
    /// A linear congruential generator, so that a text is its seed.
    fn bytes(self) -> Vec<u8> {
        let mut state = self.seed | 1;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let mut bytes = Vec::new();
        while bytes.len() < self.length {
            match random() % 4 {
                0 => bytes.extend_from_slice(&random().to_string().into_bytes()),
                nth => bytes.extend_from_slice(&b"42[\"chat-message\",{\"room\":\"general\"}"[..(nth * 9) as usize]),
            }
        }
        bytes.truncate(self.length);
        bytes
    }
}

fn text() -> impl Strategy<Value = Text> {
    let length = prop_oneof![20 => 0..400usize, 6 => 3000..9000usize, 1 => 9000..70_000usize];
    (any::<u64>(), length, any::<bool>()).prop_map(|(seed, length, binary)| Text { seed, length, binary })
}

fn event() -> impl Strategy<Value = Event> {
    let (member, room, offer) = (|| 0..MEMBERS, || prop_oneof![4 => Just(0), 1 => 0..ROOMS], 0..OFFERS.len());
    prop_oneof![
        30 => (room(), text()).prop_map(|(room, text)| Event::Say { room, text }),
        6 => (room(), text(), any::<u16>()).prop_map(|(room, text, early)| Event::SayUnevenly { room, text, early }),
        6 => (member(), text()).prop_map(|(member, text)| Event::Tell { member, text }),
        3 => (member(), room()).prop_map(|(member, room)| Event::Join { member, room }),
        2 => (member(), room()).prop_map(|(member, room)| Event::Leave { member, room }),
        2 => (member(), offer).prop_map(|(member, offer)| Event::Replace { member, offer }),
        1 => (1..150u64).prop_map(|seconds| Event::Wait { seconds }),
    ]
}

struct Member {
    peer: Peer,
    browser: Browser,
    rooms: BTreeSet<usize>,
    compresses: bool,
}

struct Late {
    broadcast: Broadcast,
    text: Text,
    members: Vec<usize>,
}

struct World {
    deflate: std::sync::Arc<Deflate>,
    rooms: Vec<std::sync::Arc<Room>>,
    members: Vec<Member>,
    late: Vec<Late>,
    now: Instant,
    threshold: usize,
    plain: usize,
    sent: usize,
    /// What members read that agreed on compression, by form.
    read: Sent,
}

impl World {
    fn new(threshold: usize) -> Self {
        let deflate = Deflate::new(Settings { threshold, streams: STREAMS, ..Settings::default() });
        let rooms = (0..ROOMS).map(|_| deflate.room()).collect();
        let mut world = World {
            deflate,
            rooms,
            members: Vec::new(),
            late: Vec::new(),
            now: Instant::now(),
            threshold,
            plain: 0,
            sent: 0,
            read: Sent::default(),
        };
        for nth in 0..MEMBERS {
            let member = world.member(nth % OFFERS.len());
            world.members.push(member);
        }
        world
    }

    fn member(&self, offer: usize) -> Member {
        let (offer, bits, without_context) = OFFERS[offer];
        let agreed = self.deflate.negotiate([offer]).unwrap();
        let peer = self.deflate.peer(agreed);
        Member { peer, browser: Browser::new(bits, without_context), rooms: [0].into(), compresses: agreed.is_some() }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Say { room, text } => self.say(room, text, u16::MAX),
            Event::SayUnevenly { room, text, early } => self.say(room, text, early),
            Event::Tell { member, text } => self.tell(member, text),
            Event::Join { member, room } => _ = self.members[member].rooms.insert(room),
            Event::Leave { member, room } => _ = self.members[member].rooms.remove(&room),
            Event::Replace { member, offer } => {
                self.members[member] = self.member(offer);
                self.late.iter_mut().for_each(|late| late.members.retain(|other| *other != member));
            }
            Event::Wait { seconds } => {
                self.now += Duration::from_secs(seconds);
                self.deflate.sweep(self.now);
            }
        }
        assert!(self.deflate.numbers().streams <= STREAMS, "{:?}", self.deflate.numbers());
    }

    fn say(&mut self, room: usize, text: Text, early: u16) {
        let frame = frame(text);
        let broadcast = self.rooms[room].broadcast(Bytes::from(frame), self.now);
        let (at_once, later) = (0..MEMBERS)
            .filter(|nth| self.members[*nth].rooms.contains(&room))
            .partition(|nth| early & (1 << nth) != 0);
        let before = self.deflate.numbers();
        self.deliver(&broadcast, text, at_once);
        self.costs_one_compression_per_window(before);
        for late in std::mem::take(&mut self.late) {
            self.deliver(&late.broadcast, late.text, late.members);
        }
        self.late.push(Late { broadcast, text, members: later });
    }

    fn deliver(&mut self, broadcast: &Broadcast, text: Text, members: Vec<usize>) {
        for nth in members {
            let member = &mut self.members[nth];
            let frame = broadcast.frame(&mut member.peer);
            member.reads(&frame, text, self.threshold);
            member.counts(&frame, text, member.peer.shares_a_context(), &mut self.read);
            (self.plain, self.sent) = (self.plain + text.length, self.sent + frame.len());
        }
    }

    fn costs_one_compression_per_window(&self, before: Numbers) {
        let after = self.deflate.numbers();
        assert!(after.shared - before.shared <= 3 && after.alone - before.alone <= 4, "{before:?} {after:?}");
    }

    fn tell(&mut self, nth: usize, text: Text) {
        let member = &mut self.members[nth];
        let frame = frame(text);
        let shared = member.peer.shares_a_context();
        let alone = member.peer.alone(&frame);
        assert!(!shared || alone.is_none(), "it would lose the room's context");
        let frame = alone.unwrap_or(Bytes::from(frame));
        member.reads(&frame, text, self.threshold);
        member.counts(&frame, text, false, &mut self.read);
        assert_eq!(member.peer.shares_a_context(), shared);
    }
}

impl Member {
    fn reads(&mut self, frame: &[u8], text: Text, threshold: usize) {
        let (content, compressed) = self.browser.read(frame);
        assert!(content == text.bytes(), "another message than was sent: {text:?}");
        assert!(!compressed || (self.compresses && text.length >= threshold), "compressed unasked: {text:?}");
        assert_eq!(frame[0] & 0x0f, if text.binary { 2 } else { 1 });
    }

    fn counts(&self, sent: &[u8], text: Text, shares: bool, read: &mut Sent) {
        if self.compresses {
            let compressed = sent[0] & 0x40 != 0;
            read.shared += u64::from(compressed && shares);
            read.alone += u64::from(compressed && !shares);
            read.plain += u64::from(!compressed);
            read.bytes_sent += sent.len() as u64;
            read.bytes_plain += frame(text).len() as u64;
        }
    }
}

fn frame(text: Text) -> Vec<u8> {
    plain(if text.binary { 0x82 } else { 0x81 }, &text.bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn every_member_reads_what_was_said_whatever_happens(
        threshold in prop::sample::select(&THRESHOLDS),
        events in prop::collection::vec(event(), 1..400),
    ) {
        let mut world = World::new(threshold);
        for event in events {
            world.happens(event);
        }
    }
}

/// The same, long enough for many epochs, and the events do reach what they are meant to reach.
#[test]
fn the_model_goes_through_epochs_tiers_and_losses() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut world = World::new(THRESHOLDS[0]);
    let mut shared = 0;
    for _ in 0..2500 {
        let event = event().new_tree(&mut runner).unwrap().current();
        shared += world.members.iter().filter(|member| member.peer.shares_a_context()).count();
        world.happens(event);
    }
    world.late.clear();
    let numbers = world.deflate.numbers();
    assert_eq!(numbers.sent, world.read, "what was counted is what came");
    eprintln!("{numbers:?}, {} of {} bytes, {shared} members shared a context at an event", world.sent, world.plain);
    assert!(numbers.epochs > 60 && numbers.shared > 1000 && numbers.alone > 1000, "{numbers:?}");
    assert!(shared > 2500, "members share only {shared} times");
    assert!(world.sent * 10 < world.plain * 7, "{} of {} bytes", world.sent, world.plain);
}

/// Rooms are used by many threads; whoever comes with a stream that has moved on meanwhile gets something else.
#[test]
fn members_on_many_threads_read_what_was_said() {
    let deflate = Deflate::new(Settings { threshold: 0, ..Settings::default() });
    let room = deflate.room();
    let talk = |thread: u64| {
        let agreed = deflate.negotiate([OFFERS[0].0]).unwrap();
        let mut members: Vec<_> = (0..4).map(|_| (deflate.peer(agreed), Browser::new(15, false))).collect();
        for nth in 0..1500 {
            let text = Text { seed: (thread << 32) | nth, length: 50 + nth as usize % 300, binary: false };
            let broadcast = room.broadcast(Bytes::from(frame(text)), Instant::now());
            for (peer, browser) in &mut members {
                assert!(browser.read(&broadcast.frame(peer)).0 == text.bytes(), "{text:?}");
            }
        }
    };
    let talk = &talk;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || talk(thread));
        }
    });
    assert!(deflate.numbers().shared > 100, "{:?}", deflate.numbers());
}
