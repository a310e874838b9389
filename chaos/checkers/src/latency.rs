//! A histogram of times with censored observations: what never came counts as longer than anything that did.

use crate::verdict::{Latency, Quantile};

/// Each power of two is divided into this many buckets: values are kept to 1.6 %.
const PARTS: u32 = 64;
const BUCKETS: usize = (64 - 6) * PARTS as usize + PARTS as usize;

pub(crate) struct Histogram {
    buckets: Vec<u64>,
    came: u64,
    never_came: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Histogram {
        Histogram { buckets: vec![0; BUCKETS], came: 0, never_came: 0, max: 0 }
    }

    #[inline]
    pub(crate) fn came(&mut self, us: u64) {
        self.buckets[bucket(us)] += 1;
        self.came += 1;
        self.max = self.max.max(us);
    }

    pub(crate) fn never_came(&mut self, count: u64) {
        self.never_came += count;
    }

    pub(crate) fn summary(&self) -> Latency {
        let max = Quantile { us: self.max, at_least: self.never_came > 0 };
        let (came, never_came) = (self.came, self.never_came);
        let at = |quantile| self.at(quantile);
        Latency { came, never_came, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max }
    }

    /// The upper end of the bucket in which the quantile falls; the longest that came when it falls on what never did.
    fn at(&self, quantile: f64) -> Quantile {
        let total = self.came + self.never_came;
        let rank = ((quantile * total as f64).ceil() as u64).max(1);
        if rank > self.came {
            return Quantile { us: self.max, at_least: total > 0 };
        }
        let mut below = 0;
        let reaches = |count: &u64| {
            below += count;
            below >= rank
        };
        let bucket = self.buckets.iter().position(reaches).unwrap_or_default();
        Quantile { us: upper(bucket).min(self.max), at_least: false }
    }
}

fn bucket(us: u64) -> usize {
    let power = (us | 1).ilog2();
    match power.checked_sub(PARTS.ilog2()) {
        None => us as usize,
        Some(shift) => (shift * PARTS + (us >> shift) as u32) as usize,
    }
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let parts = PARTS as usize;
    match (bucket / parts).checked_sub(1) {
        None => bucket as u64,
        Some(shift) => {
            let base = (bucket - shift * parts) as u64;
            ((base + 1) << shift) - 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_to_a_sixtieth() {
        for us in [0, 1, 63, 64, 65, 127, 128, 1000, 65_535, 1_000_000, 123_456_789, u64::MAX / 2] {
            let upper = upper(bucket(us));
            assert!(upper >= us && (upper - us) as f64 <= us as f64 / 60.0, "{us}: {upper}");
        }
    }

    #[test]
    fn what_never_came_is_longer_than_all_that_did() {
        let mut times = Histogram::new();
        (1..=95).for_each(|ms| times.came(ms * 1000));
        times.never_came(5);
        let summary = times.summary();
        assert!((49_000..51_000).contains(&summary.p50.us), "{summary:?}");
        assert!(!summary.p90.at_least);
        assert_eq!(summary.p99, Quantile { us: 95_000, at_least: true });
        assert!(summary.max.at_least);
        assert_eq!(Histogram::new().summary(), Latency::default());
    }
}
