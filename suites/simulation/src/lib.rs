//! Does the protocol hold in every order of events? The delivery code, unchanged, in a simulated world.
//!
//! One seed is one world: tokio's paused clock, one thread, seeded chances, an in-memory network, a model of a Redis
//! Cluster. The same seed gives the same world to the last event, which is what makes a failure worth finding.

#![expect(clippy::cast_possible_wrap, reason = "counts and times of a simulated half minute")]
#![expect(clippy::format_push_string, reason = "replies in text, built line by line; clarity before allocations")]

/// A world is millions of small allocations on one thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod chance;
#[cfg(test)]
pub mod conformance;
pub mod model;
pub mod network;
pub mod scenario;
pub mod search;
pub mod sim;
pub mod storyboard;
pub mod trace;
pub mod world;
