//! How long things took, with what never came counted in. Pure.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Microseconds, three significant digits; what never came is recorded with the time that it has been owed for.
pub(crate) struct Latency {
    times: Histogram<u64>,
    censored: u64,
}

/// The distribution in one line. Times are microseconds from the intended time of the send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies {
    /// Including the censored.
    pub count: u64,
    /// Never came.
    pub censored: u64,
    pub p50: Quantile,
    pub p95: Quantile,
    pub p99: Quantile,
    pub p999: Quantile,
    pub max: Quantile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantile {
    pub us: u64,
    /// More never came than lie above this quantile: the true value is this or worse.
    pub at_least: bool,
}

impl Latency {
    pub(crate) fn new() -> Latency {
        // Three digits are always valid, so there is nothing to handle.
        Latency { times: Histogram::new(3).unwrap_or_else(|_| unreachable!("3 digits are valid")), censored: 0 }
    }

    pub(crate) fn came(&mut self, us: u64) {
        // It grows with what it is given, so this cannot fail.
        let _ = self.times.record(us.max(1));
    }

    pub(crate) fn never_came(&mut self, many: u64, owed_for_us: u64) {
        if many > 0 {
            let _ = self.times.record_n(owed_for_us.max(1), many);
            self.censored += many;
        }
    }

    pub(crate) fn absorb(&mut self, other: &Latency) {
        // Both resize themselves, so adding cannot fail.
        let _ = self.times.add(&other.times);
        self.censored += other.censored;
    }

    pub(crate) fn summary(&self) -> Latencies {
        let at = |quantile: f64| Quantile {
            us: self.times.value_at_quantile(quantile),
            at_least: self.censored as f64 > (1.0 - quantile) * self.times.len() as f64,
        };
        Latencies {
            count: self.times.len(),
            censored: self.censored,
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: at(1.0),
        }
    }
}

impl std::fmt::Display for Quantile {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let least = if self.at_least { "at least " } else { "" };
        write!(out, "{least}{:.1} ms", self.us as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_came_is_not_absent() {
        let mut latency = Latency::new();
        for us in 1..=980 {
            latency.came(us);
        }
        latency.never_came(20, 5_000_000);
        let summary = latency.summary();
        assert_eq!((summary.count, summary.censored), (1000, 20));
        assert!(!summary.p95.at_least && summary.p99.at_least, "{summary:?}");
        assert!(summary.p99.us >= 4_990_000);
        assert!(summary.p99.to_string().starts_with("at least 50"), "{}", summary.p99);
    }

    #[test]
    fn a_histogram_absorbs_a_wider_one() {
        let (mut narrow, mut wide) = (Latency::new(), Latency::new());
        narrow.came(10);
        wide.came(60_000_000);
        narrow.absorb(&wide);
        assert_eq!(narrow.summary().count, 2);
        assert!(narrow.summary().max.us >= 60_000_000);
    }
}
