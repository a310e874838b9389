//! The chat corpus of `fixtures/chat`: what a node sends to a room's members, a file per room, a message per line.
//!
//! Made, not recorded, so that nobody's words are in it. Each word is drawn by itself from a list of the language's
//! frequent words, the frequent ones more often (Zipf's law), with names, emoji, links, figures and pasted logs
//! between them; lengths are log-normal around seven words. Real talk repeats phrases, this repeats only words: what
//! deflate saves on it is rather too little than too much. Ids, offsets and times are as random as in life.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

const SEED: u64 = 7692;
pub const MESSAGES: usize = 600;
pub const PEOPLE: usize = 40;
/// Unix milliseconds of the first message.
const START: u64 = 1_764_000_000_000;

/// A room and the languages that are spoken in it.
pub struct Room {
    pub name: &'static str,
    words: &'static [&'static str],
}

macro_rules! words {
    ($($language:literal),+) => {
        &[$(include_str!(concat!("../../fixtures/chat/words/", $language, ".txt"))),+]
    };
}

pub const ROOMS: &[Room] = &[
    Room { name: "general", words: words!["en"] },
    Room { name: "berlin", words: words!["de", "en"] },
    Room { name: "support", words: words!["en", "es", "fr", "pt"] },
    Room { name: "tokyo", words: words!["ja", "zh", "en"] },
    Room { name: "travel", words: words!["ru", "ar", "en"] },
];

const NAMES: &[&str] = &[
    "amelie",
    "bjarne",
    "chen.wei",
    "dario",
    "emeka",
    "fatima",
    "gustavo",
    "hana",
    "ivan",
    "jun",
    "katarzyna",
    "lucia",
    "mehmet",
    "nadia",
    "olga",
    "priya",
    "quentin",
    "rosa",
    "samir",
    "tomoko",
    "ulrike",
    "valentin",
    "wanjiru",
    "yusuf",
];
const EMOJI: &[&str] =
    &["😂", "👍", "🙏", "❤️", "😅", "🎉", "🤔", "😭", "🔥", "👀", "✅", "🚀", "😊", "🙈", "☕", "👩‍💻"];
const SHORT: &[&str] =
    &["ok", "lol", "+1", "yes", "no", "👍", "thanks!", "👀", "done", "brb", "?", "haha", "same", "🎉"];
const HOSTS: &[&str] = &["example.org", "docs.example.com", "git.example.net", "maps.example.com"];
const LEVELS: &[&str] = &["INFO", "WARN", "ERROR"];

/// The lines of one room: payloads of Engine.IO messages, the same for every run.
pub fn lines(room: &'static Room) -> Vec<String> {
    let nth = ROOMS.iter().position(|other| other.name == room.name).expect("a room of the list");
    let mut talk = Talk { random: ChaCha8Rng::seed_from_u64(SEED + nth as u64), room, at: START };
    (0..MESSAGES).map(|_| talk.message()).collect()
}

/// Who speaks: the first ones most.
pub fn person(rank: usize) -> String {
    NAMES.get(rank).map_or_else(|| format!("user-{rank}"), |name| (*name).to_owned())
}

/// A version 4 UUID, as browsers make them.
pub fn uuid(random: &mut ChaCha8Rng) -> String {
    let bits: u128 = random.random::<u128>() & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

struct Talk {
    random: ChaCha8Rng,
    room: &'static Room,
    at: u64,
}

impl Talk {
    fn message(&mut self) -> String {
        self.at += self.random.random_range(20..900);
        let sender = self.sender();
        let payload = json!({ "id": uuid(&mut self.random), "room": self.room.name, "sender": sender, "content": self.content() });
        // serde_json orders keys by name; a node writes them in the contract's order.
        let field = |name: &str| payload[name].to_string();
        format!(
            r#"42["chat-message",{{"id":{},"room":{},"sender":{},"content":{},"timestamp":{},"offset":"{:012x}00000000"}}]"#,
            field("id"),
            field("room"),
            field("sender"),
            field("content"),
            self.at,
            self.at
        )
    }

    fn sender(&mut self) -> String {
        person(self.zipf(PEOPLE))
    }

    fn content(&mut self) -> String {
        match self.random.random_range(0..100) {
            0..12 => self.one_of(SHORT).to_owned(),
            12..14 => self.pasted_log(),
            _ => self.sentence(),
        }
    }

    fn sentence(&mut self) -> String {
        let list = self.one_of(self.room.words);
        let list: Vec<&str> = list.split_whitespace().collect();
        // Chinese and Japanese put no blank between words.
        let blank = if list[0].starts_with(['は', '的']) { "" } else { " " };
        let mut said = Vec::new();
        for _ in 0..self.length() {
            let rank = self.zipf(list.len());
            said.push(list[rank].to_owned());
        }
        let mut text = said.join(blank);
        match self.random.random_range(0..100) {
            0..14 => text.extend([" ", self.one_of(EMOJI)]),
            14..22 => text.insert_str(0, &format!("@{} ", self.sender())),
            22..26 => text.push_str(&self.link()),
            26..40 => text.push('?'),
            40..46 => text.extend([" ", &self.random.random_range(2..5000).to_string()]),
            46..70 => text.push('.'),
            _ => {}
        }
        text
    }

    fn link(&mut self) -> String {
        format!(" https://{}/{:x}", self.one_of(HOSTS), self.random.random::<u32>())
    }

    fn pasted_log(&mut self) -> String {
        let line = |_| {
            let (level, ms, port) =
                (self.one_of(LEVELS), self.random.random_range(1..9999), self.random.random::<u16>());
            format!(
                "2026-11-24T10:{:02}:{:02}Z {level} 10.0.3.{}:{port} request took {ms} ms",
                ms % 60,
                port % 60,
                port % 250
            )
        };
        (0..4).map(line).collect::<Vec<_>>().join("\n")
    }

    /// Words in a message: log-normal, median 7.
    fn length(&mut self) -> usize {
        let normal = (0..12).map(|_| self.random.random::<f64>()).sum::<f64>() - 6.0;
        (7.0 * (0.75 * normal).exp()).clamp(1.0, 120.0) as usize
    }

    /// A rank below `count`, the n-th about 1/n as often as the first.
    fn zipf(&mut self, count: usize) -> usize {
        let at = self.random.random::<f64>() * ((count + 1) as f64).ln();
        (at.exp() as usize - 1).min(count - 1)
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.random_range(0..of.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_what_is_written_here() {
        for room in ROOMS {
            let path = format!("{}/../fixtures/chat/rooms/{}.txt", env!("CARGO_MANIFEST_DIR"), room.name);
            let file = std::fs::read_to_string(&path).expect(&path);
            assert!(file.lines().eq(lines(room)), "{path} is another: cargo run -p benches -- corpus");
        }
    }
}
