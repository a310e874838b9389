//! Whatever a client puts into a payload, a node answers it, and what it takes arrives as it was sent.
//!
//! `rules` is the contract written down a second time, by hand: `in_process` holds `system-protocol`'s validation to it,
//! `on_the_wire` a node behind a real socket. `code_units` compares lengths with what JavaScript counts.

mod code_units;
mod in_process;
mod on_the_wire;
mod rules;
mod strategies;

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::warm::fresh_seed;

/// So many cases, from a seed that is printed and that `$HOLDFAST_SEED` sets.
fn runner(cases: u32) -> TestRunner {
    let seed = fresh_seed();
    eprintln!("payloads: seed {seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}
