//! What a person sees while a drill runs: the seam between the run and whoever shows it.
//!
//! The run tells; how it looks (a progress bar, a heartbeat line, nothing in a test) is the audience's business.

use std::{fmt, time::Duration};

pub use chaos_observe::journal::Phase;
use chaos_workload::Counts;

/// Live counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    pub counts: Counts,
    pub acks_per_second: u64,
    pub deliveries_per_second: u64,
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { members, joined, sent, acked, owed, received, hidden, .. } = self.counts;
        let missing = self.counts.missing();
        write!(f, "{joined}/{members} joined · sent {sent} · acked {acked} ({}/s)", self.acks_per_second)?;
        write!(f, " · owed {owed} · received {received} ({}/s)", self.deliveries_per_second)?;
        write!(f, " · missing {missing} · duplicates {hidden}")
    }
}

/// A phase in a few words.
pub fn words(phase: Phase) -> &'static str {
    match phase {
        Phase::Plan => "planning",
        Phase::Boot => "booting",
        Phase::Steady => "steady state",
        Phase::Faults => "faults",
        Phase::Heal => "healing and settling",
        Phase::Drain => "draining",
        Phase::FinalRead => "final read",
        Phase::Judge => "judging",
        Phase::Cleanup => "cleaning up",
    }
}

/// Whoever watches a run. Called from the run's own task; must not block.
pub trait Audience: Send + Sync {
    /// A phase began; `about` is how long it is expected to take.
    fn phase(&self, phase: Phase, about: Duration);
    /// Something worth a line: a fault bit, a replica was promoted, acks are back.
    /// `since_load` counts from the moment when every user had joined.
    fn note(&self, since_load: Option<Duration>, line: &str);
    fn counters(&self, counters: &Counters);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Audience for Nobody {
    fn phase(&self, _: Phase, _: Duration) {}
    fn note(&self, _: Option<Duration>, _: &str) {}
    fn counters(&self, _: &Counters) {}
}
