//! The length of a content is what `String.length` says in JavaScript, for ten thousand strings of every kind; and what
//! JSON itself allows to be written is read alike, but for one thing.
//!
//! That one thing is half a surrogate pair. `JSON.parse` makes a string of `"\ud83d"`, and `JSON.stringify` writes one
//! for a text that was cut in the middle of an emoji; but it is no character, has no UTF-8, and could not be kept byte
//! for byte. serde_json refuses it, and so does the node, by name.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use proptest::{
    collection,
    strategy::{Strategy, ValueTree},
};
use serde::Deserialize;
use serde_json::{Value, json};
use system_protocol::Submit;

use super::{runner, strategies};
use crate::{
    official_client::{clients, node},
    process::Process,
};

const STRINGS: usize = 10_000;
const LIMIT: usize = 1000;

/// What JavaScript makes of a JSON string.
#[derive(Deserialize)]
struct Seen {
    length: usize,
    blank: bool,
    /// No half of a surrogate pair stands alone.
    whole: bool,
}

/// `None`: it is no JSON.
fn in_javascript(written: &[String]) -> Option<Vec<Option<Seen>>> {
    let mut node = node()?;
    let mut process =
        Process::start(node.arg(clients().join("strings.js")).stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut input = process.child().stdin.take().expect("its input");
    let lines = written.join("\n");
    let writing = std::thread::spawn(move || writeln!(input, "{lines}"));
    let output = BufReader::new(process.child().stdout.take().expect("its output"));
    let seen: Vec<_> = output.lines().map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON")).collect();
    writing.join().expect("no panic").expect("a process that reads");
    assert_eq!(seen.len(), written.len(), "an answer for each line");
    Some(seen)
}

#[test]
fn content_is_counted_as_javascript_counts_it() {
    let mut runner = runner(1);
    let strings =
        collection::vec(strategies::written_string(), STRINGS).new_tree(&mut runner).expect("strings").current();
    let Some(seen) = in_javascript(&strings) else { return };
    let (mut counted, mut halves, mut unreadable) = (0, 0, 0);
    for (written, seen) in strings.iter().zip(seen) {
        match (serde_json::from_str::<String>(written), seen) {
            (Ok(text), Some(seen)) => {
                assert!(seen.whole, "{written}");
                check(&text, &seen);
                counted += 1;
            }
            (Err(_), Some(seen)) => {
                assert!(!seen.whole, "JavaScript reads {written}, and there is nothing wrong with it");
                halves += 1;
            }
            (Err(_), None) => unreadable += 1,
            (Ok(_), None) => panic!("serde_json reads {written}, and JavaScript does not"),
        }
    }
    eprintln!("{counted} counted, {halves} with half a pair, {unreadable} no JSON");
    assert!(counted > STRINGS / 2 && halves > STRINGS / 50 && unreadable > STRINGS / 50, "too few of some kind");
}

/// Filled up to the limit it is taken, and with one unit more it is not: so it is as long as JavaScript says.
fn check(text: &str, seen: &Seen) {
    let taken = |content: &str| Submit::parse(&json!({ "content": content })).is_ok();
    // JavaScript does not count U+0085 as white space, while Unicode does.
    let blank = seen.blank || text.chars().all(|c| c == '\u{85}' || c.is_whitespace() || c == '\u{feff}');
    assert_eq!(taken(text), !blank && seen.length <= LIMIT, "{text:?}");
    if let Some(room) = LIMIT.checked_sub(seen.length).filter(|room| *room > 0) {
        let full = format!("{text}{}", "x".repeat(room));
        assert!(taken(&full), "{text:?} is longer than {}", seen.length);
        assert!(!taken(&format!("{full}x")), "{text:?} is shorter than {}", seen.length);
    }
}

/// White space is what a browser's `trim` takes away, and U+0085.
#[test]
fn white_space_is_what_javascript_takes_away_and_one_more() {
    let all: Vec<_> = (0..0x1_0000).filter_map(char::from_u32).collect();
    let written: Vec<_> = all.iter().map(|c| Value::from(c.to_string()).to_string()).collect();
    let Some(seen) = in_javascript(&written) else { return };
    let differ = all.iter().zip(seen).filter(|(c, seen)| {
        let taken = Submit::parse(&json!({ "content": c.to_string() })).is_ok();
        taken == seen.as_ref().expect("JSON").blank
    });
    let differ: Vec<_> = differ.map(|(c, _)| *c).collect();
    assert_eq!(differ, ['\u{85}']);
}
