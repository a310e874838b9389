//! What happened, twice: a hash of every event, which two runs of one seed must share, and for a person the storyboard.
//!
//! Hashed is what crosses a seam (commands as servers take them, replies, deliveries, faults, elections) with its
//! time. The storyboard keeps lines only when it was asked for: formatting them is most of the cost.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use crate::chance::mixed;

#[derive(Clone)]
pub struct Trace {
    inner: Arc<Mutex<Inner>>,
    start: Instant,
    telling: bool,
}

struct Inner {
    hash: u64,
    events: u64,
    lines: Vec<String>,
}

impl Trace {
    /// Must be made inside the runtime: time is counted from here.
    pub fn new(telling: bool) -> Trace {
        let inner = Inner { hash: 0, events: 0, lines: Vec::new() };
        Trace { inner: Arc::new(Mutex::new(inner)), start: Instant::now(), telling }
    }

    /// Milliseconds since the world began.
    pub fn now_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    pub fn start(&self) -> Instant {
        self.start
    }

    /// An event for the hash: who, what (in parts), and the time.
    pub fn event<'a>(&self, who: u64, what: impl IntoIterator<Item = &'a [u8]>) {
        let now = self.now_ms();
        let mut inner = self.inner.lock().expect("no panic while tracing");
        let mut hash = mixed(inner.hash ^ now ^ (who << 48));
        for part in what {
            let (words, rest) = part.as_chunks::<8>();
            hash = words.iter().fold(hash, |hash, word| mixed(hash ^ u64::from_le_bytes(*word) ^ (8 << 56)));
            let rest = rest.iter().rev().fold(rest.len() as u64, |word, byte| (word << 8) | u64::from(*byte));
            hash = mixed(hash ^ rest);
        }
        inner.hash = hash;
        inner.events += 1;
    }

    /// An event that a person wants to read: rare ones (faults, elections, losses).
    pub fn tell(&self, line: impl AsRef<str>) {
        self.event(u64::from(u16::MAX), [line.as_ref().as_bytes()]);
        self.say(|| line.as_ref().to_owned());
    }

    /// A line for the storyboard alone.
    pub fn say(&self, line: impl FnOnce() -> String) {
        if self.telling {
            let line = format!("{:>9.3} s  {}", self.now_ms() as f64 / 1000.0, line());
            self.inner.lock().expect("no panic while tracing").lines.push(line);
        }
    }

    pub fn telling(&self) -> bool {
        self.telling
    }

    pub fn hash(&self) -> u64 {
        self.inner.lock().expect("no panic while tracing").hash
    }

    pub fn events(&self) -> u64 {
        self.inner.lock().expect("no panic while tracing").events
    }

    pub fn lines(&self) -> Vec<String> {
        self.inner.lock().expect("no panic while tracing").lines.clone()
    }
}
