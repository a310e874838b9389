//! How long to wait before connecting again.
//!
//! Exponential with full jitter, so that a thousand clients of a node that went do not come back as one: the n-th
//! delay is uniform between the shortest and shortest × 2ⁿ, at most the longest.

use std::time::Duration;

use rand::{Rng, RngExt};

pub(crate) struct Backoff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new((shortest, longest): (Duration, Duration)) -> Self {
        Backoff { shortest, longest: longest.max(shortest), failures: 0 }
    }

    pub(crate) fn next(&mut self, random: &mut impl Rng) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let ceiling = self.shortest.saturating_mul(factor).min(self.longest);
        random.random_range(self.shortest..=ceiling)
    }

    /// A connection proved good.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    proptest! {
        #[test]
        fn every_delay_is_within_its_bounds(seed in any::<u64>(), shortest in 0..5_000u64, span in 0..20_000u64) {
            let (shortest, longest) = (Duration::from_millis(shortest), Duration::from_millis(shortest + span));
            let mut backoff = Backoff::new((shortest, longest));
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            for failures in 1..40_u32 {
                let delay = backoff.next(&mut random);
                let ceiling = shortest.saturating_mul(2_u32.saturating_pow(failures)).min(longest);
                prop_assert!(shortest <= delay && delay <= ceiling, "{:?} after {}", delay, failures);
            }
        }
    }

    #[test]
    fn the_range_is_used_and_the_seed_decides() {
        let delays = |seed| {
            let mut backoff = Backoff::new((Duration::from_secs(1), Duration::from_secs(5)));
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            (0..200).map(|_| backoff.next(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
        let late = &delays(7)[3..];
        assert!(late.iter().any(|d| d.as_secs_f64() < 1.5) && late.iter().any(|d| d.as_secs_f64() > 4.5));
    }
}
