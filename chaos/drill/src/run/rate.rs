//! Rates for the live line, from totals.

use std::time::Duration;

use chaos_workload::Counts;
use tokio::time::Instant;

use crate::live::Counters;

/// Remembers the totals of about a second ago.
pub(crate) struct Rate {
    /// When it was last asked.
    pub(crate) shown: Instant,
    at: Instant,
    counts: Counts,
    latest: Counters,
}

const OVER: Duration = Duration::from_secs(1);

impl Rate {
    pub(crate) fn new() -> Rate {
        Rate { shown: Instant::now(), at: Instant::now(), counts: Counts::default(), latest: Counters::default() }
    }

    pub(crate) fn counters(&mut self, counts: Counts) -> Counters {
        self.shown = Instant::now();
        let over = self.at.elapsed();
        if over >= OVER {
            let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / over.as_secs_f64()).round() as u64;
            self.latest.acks_per_second = rate(counts.acked, self.counts.acked);
            self.latest.deliveries_per_second = rate(counts.received, self.counts.received);
            (self.at, self.counts) = (Instant::now(), counts);
        }
        self.latest.counts = counts;
        self.latest
    }
}
