//! What it saves on the chat corpus: beside plain, and beside a context per connection.

use std::fs;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use system_wire::deflate::{Deflate, Peer, Settings};

use crate::browser::{Browser, plain};

const MEMBERS: usize = 40;
const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// The rooms of the corpus, each with the messages that its members get.
fn rooms() -> Vec<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/chat/rooms");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "the corpus is in {}", folder.display());
    let lines = |path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    files.iter().map(lines).collect()
}

/// Bytes of frames, header included.
#[derive(Debug, Default, Clone, Copy)]
struct Bill {
    plain: usize,
    sent: usize,
}

impl Bill {
    fn saved(self) -> f64 {
        1.0 - self.sent as f64 / self.plain as f64
    }
}

/// Each message to every member of its room, all of them there from the beginning, in one room each.
fn broadcast(settings: Settings) -> Bill {
    let deflate = Deflate::new(settings);
    let mut bill = Bill::default();
    for lines in rooms() {
        let room = deflate.room();
        let peer = || (deflate.peer(deflate.negotiate([OFFER]).unwrap()), Browser::new(15, false));
        let mut members: Vec<_> = (0..MEMBERS).map(|_| peer()).collect();
        for line in lines {
            let frame = Bytes::from(plain(0x81, line.as_bytes()));
            let broadcast = room.broadcast(frame.clone(), Instant::now());
            for (nth, (peer, browser)) in members.iter_mut().enumerate() {
                let sent = broadcast.frame(peer);
                // Each of them could; two are enough to know.
                if nth % (MEMBERS - 1) == 0 {
                    assert_eq!(browser.read(&sent).0, line.as_bytes());
                }
                (bill.plain, bill.sent) = (bill.plain + frame.len(), bill.sent + sent.len());
            }
        }
    }
    bill
}

/// What servers do that keep a context for each member.
fn per_connection() -> Bill {
    let mut bill = Bill::default();
    for lines in rooms() {
        let mut compressor = Compress::new(Compression::default(), false);
        for line in lines {
            let mut out = Vec::with_capacity(2 * line.len() + 64);
            compressor.compress_vec(line.as_bytes(), &mut out, FlushCompress::Sync).unwrap();
            bill.plain += plain(0x81, line.as_bytes()).len();
            bill.sent += plain(0xc1, &out[..out.len() - 4]).len();
        }
    }
    bill
}

/// The README tells it.
fn told(bill: Bill) {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap();
    let saved = format!("{:.0} %", 100.0 * bill.saved());
    assert!(readme.lines().any(|line| line.contains("--deflate-threshold 0") && line.contains(&saved)), "{saved}");
}

#[test]
fn everything_compressed_saves_55_percent_and_costs_at_most_12_percent_more_than_a_context_each() {
    let shared = broadcast(Settings { threshold: 0, ..Settings::default() });
    let each = per_connection();
    let per_message = shared.plain / MEMBERS / rooms().iter().map(Vec::len).sum::<usize>();
    eprintln!(
        "{per_message} bytes a frame: {:.1} % saved, {:.1} % with a context each",
        100.0 * shared.saved(),
        100.0 * each.saved()
    );
    told(shared);
    assert!(shared.saved() >= 0.55, "{:.3}", shared.saved());
    assert!(1.0 - shared.saved() <= 1.12 * (1.0 - each.saved()), "{:.3} against {:.3}", shared.saved(), each.saved());
}

#[test]
fn chat_seldom_reaches_the_default_threshold() {
    let bill = broadcast(Settings::default());
    eprintln!("{:.1} % saved with the default threshold", 100.0 * bill.saved());
    assert!(bill.saved() < 0.10, "{:.3}: the advice in the documentation is out of date", bill.saved());
}

/// Members of three rooms at once, two of them half as busy: one context serves them as well as it can.
#[test]
fn a_member_of_several_rooms_shares_the_busiest_ones_context() {
    let rooms = rooms();
    let deflate = Deflate::new(Settings { threshold: 0, ..Settings::default() });
    let ours: Vec<_> = (0..3).map(|_| deflate.room()).collect();
    let mut members: Vec<(Peer, Browser)> =
        (0..MEMBERS).map(|_| (deflate.peer(deflate.negotiate([OFFER]).unwrap()), Browser::new(15, false))).collect();
    let mut bill = Bill::default();
    for nth in 0..rooms[0].len() * 2 {
        let speaking = [0, 1, 0, 2][nth % 4];
        let line = &rooms[speaking][nth / 2 % rooms[speaking].len()];
        let frame = Bytes::from(plain(0x81, line.as_bytes()));
        let broadcast = ours[speaking].broadcast(frame.clone(), Instant::now());
        for (peer, browser) in &mut members {
            let sent = broadcast.frame(peer);
            assert_eq!(browser.read(&sent).0, line.as_bytes());
            (bill.plain, bill.sent) = (bill.plain + frame.len(), bill.sent + sent.len());
        }
    }
    eprintln!("{:.1} % saved in three rooms", 100.0 * bill.saved());
    told(bill);
    assert!(bill.saved() > 0.25, "{:.3}", bill.saved());
}
