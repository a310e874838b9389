//! What is said: the talk of the chat corpus, by the people whom it names, under new ids.

use std::sync::LazyLock;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::load::Load;
use crate::corpus;

/// By room.
static CORPUS: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| corpus::ROOMS.iter().map(corpus::lines).collect());

pub(super) struct Script {
    rooms: Vec<Vec<Line>>,
    random: ChaCha8Rng,
    /// Messages so far.
    said: usize,
}

struct Line {
    person: usize,
    /// As JSON.
    content: String,
}

/// One message to be sent.
pub(super) struct Said {
    /// Which connection says it.
    pub(super) client: usize,
    pub(super) id: String,
    pub(super) payload: String,
}

impl Script {
    pub(super) fn new() -> Script {
        let rooms = CORPUS.iter().map(|lines| lines.iter().map(|line| Line::of(line)).collect()).collect();
        Script { rooms, random: ChaCha8Rng::seed_from_u64(42), said: 0 }
    }

    pub(super) fn said(&self) -> usize {
        self.said
    }

    /// Room after room.
    pub(super) fn next(&mut self, load: &Load) -> Said {
        let (room, nth) = (self.said % load.rooms, self.said / load.rooms);
        let lines = &self.rooms[room % self.rooms.len()];
        let Line { person, content } = &lines[nth % lines.len()];
        let id = corpus::uuid(&mut self.random);
        let number = self.said;
        self.said += 1;
        let room_name = room_name(room);
        let payload = format!(r#"42{number}["chat-message",{{"content":{content},"id":"{id}","room":"{room_name}"}}]"#);
        Said { client: room * load.members + person % load.members, id, payload }
    }

    /// Bytes of a message on the wire, on an average.
    pub(super) fn mean_frame() -> usize {
        // Nearly all have a header of four bytes.
        let (sum, lines) = CORPUS.iter().flatten().fold((0, 0), |(sum, lines), line| (sum + line.len() + 4, lines + 1));
        sum / lines
    }
}

impl Line {
    fn of(line: &str) -> Line {
        let event: Value = serde_json::from_str(&line[2..]).expect("an event of the corpus");
        let sender = &event[1]["sender"];
        let person = (0..corpus::PEOPLE).find(|rank| *sender == corpus::person(*rank)).expect("one of its people");
        Line { person, content: event[1]["content"].to_string() }
    }
}

pub(super) fn room_name(room: usize) -> String {
    corpus::ROOMS.get(room).map_or_else(|| format!("room-{room}"), |room| room.name.to_owned())
}
