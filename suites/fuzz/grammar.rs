//! What a client may put on the wire, and what it may not: pieces made from the corpus by a seeded chance.

use std::path::Path;

use flate2::{Compress, Compression, FlushCompress};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

pub(super) const TEXT: u8 = 0x1;
pub(super) const PING: u8 = 0x9;
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const MASKED: u8 = 0x80;
/// Bytes that parsers stumble over.
const INTERESTING: [u8; 20] = *b"\x00\x01\x7f\x80\xff\xc0\xed\xf4[]{}\",:-/09\\";
/// Texts that parsers stumble over.
const TOKENS: [&[u8]; 16] = [
    b"\\ud800",
    b"\\u0000",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":",
    b"18446744073709551616",
    b"-1",
    b"1e999",
    b"null",
    b"\"\"",
    b"_placeholder",
    b"/admin,",
    b"42[\"join\",",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\xa6\x80",
    b"\r\n\r\n",
    b"51-",
];
/// Bytes of a packet at most. The limit on payloads is a test of its own.
const LONGEST: usize = 8 << 10;

/// Bytes on the wire.
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    pub(super) frames: u64,
    /// The message that it is, when nothing is wrong with its frames.
    pub(super) message: Option<Vec<u8>>,
}

/// Where everything comes from. The same seed, the same pieces.
pub(super) struct Grammar {
    chance: ChaCha8Rng,
    packets: Vec<Vec<u8>>,
    frames: Vec<Vec<u8>>,
}

impl Grammar {
    pub(super) fn new(seed: u64, stream: u64) -> Grammar {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        chance.set_stream(stream);
        let text = |line: &str| serde_json::from_str::<String>(line).map(String::into_bytes).ok();
        Grammar { chance, packets: corpus("packets.txt", text), frames: corpus("frames.txt", hex) }
    }

    pub(super) fn up_to(&mut self, most: usize) -> usize {
        self.chance.random_range(0..=most)
    }

    pub(super) fn percent(&mut self, percent: u32) -> bool {
        self.chance.random_ratio(percent, 100)
    }

    /// The n-th line of the corpus as it stands; `None` after the last.
    pub(super) fn line(&mut self, nth: usize) -> Option<Piece> {
        if let Some(packet) = self.packets.get(nth).cloned() {
            return Some(self.whole(TEXT, packet));
        }
        let bytes = self.frames.get(nth - self.packets.len())?.clone();
        Some(Piece { bytes, frames: 1, message: None })
    }

    /// A message in frames that are as they should be: whole, in fragments, or compressed.
    pub(super) fn tame(&mut self, compressed: bool) -> Piece {
        let packet = self.packet();
        match self.up_to(9) {
            0..=1 => self.fragments(&packet),
            2..=3 if compressed => self.compressed(packet),
            _ => self.whole(TEXT, packet),
        }
    }

    /// Frames as nobody should write them.
    pub(super) fn wild(&mut self) -> Piece {
        let (first, packet) = (self.chance.random(), self.packet());
        let mut piece = match self.up_to(5) {
            0 => self.whole(first, packet),
            1 => self.whole(FIN | RSV1 | TEXT, packet),
            2 => self.compressed(packet),
            3 => self.fragments(&packet),
            4 => self.whole(TEXT, packet),
            _ => Piece {
                bytes: self.frames.choose(&mut self.chance).cloned().unwrap_or_default(),
                frames: 1,
                message: None,
            },
        };
        piece.message = None;
        for _ in 0..self.up_to(3) {
            self.mutate(&mut piece.bytes);
        }
        piece
    }

    /// One of the corpus, or what mutations make of it; text that is no UTF-8 is none of these.
    fn packet(&mut self) -> Vec<u8> {
        let mut packet = self.packets.choose(&mut self.chance).cloned().unwrap_or_default();
        for _ in 0..self.up_to(3) {
            self.mutate(&mut packet);
        }
        packet.truncate(LONGEST);
        String::from_utf8_lossy(&packet).into_owned().into_bytes()
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let at = self.up_to(bytes.len());
        let end = at + self.up_to((bytes.len() - at).min(16));
        match self.up_to(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.up_to(7),
            1 if at < bytes.len() => bytes[at] = self.chance.random(),
            2 => bytes.insert(at, INTERESTING[self.up_to(INTERESTING.len() - 1)]),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let again = bytes[at..end].repeat(1 + self.up_to(6));
                bytes.splice(at..at, again);
            }
            5 => drop(bytes.splice(at..end, TOKENS[self.up_to(TOKENS.len() - 1)].iter().copied())),
            6 => bytes.truncate(at),
            7 => {
                let other = self.packets.choose(&mut self.chance).cloned().unwrap_or_default();
                bytes.splice(at..end, other);
            }
            _ => {
                let deep = if self.percent(5) { 4000 } else { 8 };
                bytes.splice(at..at, b"[{\"".iter().copied().cycle().take(self.up_to(deep)));
            }
        }
    }

    fn whole(&mut self, first: u8, payload: Vec<u8>) -> Piece {
        let bytes = self.frame(FIN | first, &payload);
        Piece { bytes, frames: 1, message: Some(payload) }
    }

    /// With control frames between them, as a peer may.
    fn fragments(&mut self, packet: &[u8]) -> Piece {
        let (mut bytes, mut frames, mut left) = (Vec::new(), 0, packet);
        loop {
            let opcode = if frames == 0 { TEXT } else { 0 };
            let (part, rest) = left.split_at(self.up_to(left.len()));
            let last = frames > 3 || rest.is_empty();
            let part = if last { left } else { part };
            bytes.extend(self.frame(if last { FIN | opcode } else { opcode }, part));
            frames += 1;
            if last {
                return Piece { bytes, frames, message: Some(packet.to_vec()) };
            }
            left = rest;
            if self.percent(30) {
                bytes.extend(self.frame(FIN | PING, b"between"));
                frames += 1;
            }
        }
    }

    fn compressed(&mut self, packet: Vec<u8>) -> Piece {
        let mut deflated = Vec::with_capacity(packet.len() * 2 + 64);
        let mut compressor = Compress::new(Compression::new(self.up_to(9) as u32), false);
        let done = compressor.compress_vec(&packet, &mut deflated, FlushCompress::Sync);
        done.expect("room for all of it");
        deflated.truncate(deflated.len().saturating_sub(4));
        let deflated = if deflated.is_empty() { vec![0] } else { deflated };
        let bytes = self.frame(FIN | RSV1 | TEXT, &deflated);
        Piece { bytes, frames: 1, message: Some(packet) }
    }

    pub(super) fn frame(&mut self, first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..=125 => frame.push(MASKED | short as u8),
            middle @ 126..=0xffff => {
                frame.push(MASKED | 0x7e);
                frame.extend((middle as u16).to_be_bytes());
            }
            long => {
                frame.push(MASKED | 0x7f);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        let mask: [u8; 4] = self.chance.random();
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }
}

fn corpus(name: &str, read: impl Fn(&str) -> Option<Vec<u8>>) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fuzz").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let read = |(at, line): (usize, &str)| read(line).unwrap_or_else(|| panic!("{}:{}", path.display(), at + 1));
    lines.map(read).collect()
}

fn hex(line: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = line.bytes().filter(|byte| *byte != b' ').collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect()
}
