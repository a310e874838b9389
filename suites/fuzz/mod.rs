//! Whatever a client sends: no panic, bounded memory, and nobody else notices.
//!
//! A bounded fuzzer in this process, from a corpus (`fixtures/fuzz`) and a printed seed: `HOLDFAST_SEED` plays the same
//! again, `HOLDFAST_FUZZ_FRAMES` says how many frames (`just fuzz`: a million for each test here).

#[path = "../../system/wire/tests/deflate/chunks.rs"]
mod chunks;
mod grammar;
mod incoming;
mod node;

use crate::warm::fresh_seed;

struct Plan {
    seed: u64,
    frames: u64,
}

impl Plan {
    /// `smoke`: how many frames by default.
    fn from_environment(what: &str, smoke: u64) -> Plan {
        let frames = std::env::var("HOLDFAST_FUZZ_FRAMES").ok();
        let frames = frames.map_or(smoke, |frames| frames.parse().expect("HOLDFAST_FUZZ_FRAMES is a number"));
        let seed = fresh_seed();
        eprintln!("{frames} fuzzed frames for {what}: seed {seed}");
        Plan { seed, frames }
    }
}
