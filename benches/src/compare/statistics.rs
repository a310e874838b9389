//! How sure a ratio is.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A slowdown that counts.
const TOLERANCE: f64 = 1.05;
const RESAMPLES: usize = 10_000;
/// Of the resamples, on either side; with some forty cases a wider one would cry wolf.
const OUTSIDE: f64 = 0.005;

/// The ratio of two builds' times: its geometric mean over the rounds, and where that lies with 99 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub middle: f64,
    pub high: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// By more than 5 %, surely.
    Slower,
    Same,
    Faster,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Slower => "SLOWER",
            Verdict::Same => "",
            Verdict::Faster => "faster",
        }
    }
}

impl Interval {
    /// Times of the same rounds; by the bootstrap over rounds, since times within one share its moment.
    pub fn of_ratio(then: &[f64], now: &[f64]) -> Interval {
        let logs: Vec<f64> = then.iter().zip(now).map(|(then, now)| (now / then).ln()).collect();
        let mean = |logs: &mut dyn Iterator<Item = f64>, count: usize| logs.sum::<f64>() / count as f64;
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut resample = || mean(&mut (0..logs.len()).map(|_| logs[random.random_range(0..logs.len())]), logs.len());
        let mut means: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
        means.sort_by(f64::total_cmp);
        let edge = (RESAMPLES as f64 * OUTSIDE) as usize;
        let middle = mean(&mut logs.iter().copied(), logs.len());
        Interval { low: means[edge].exp(), middle: middle.exp(), high: means[RESAMPLES - 1 - edge].exp() }
    }

    pub fn verdict(&self) -> Verdict {
        match self {
            Interval { low, .. } if *low > TOLERANCE => Verdict::Slower,
            Interval { high, .. } if *high < 1.0 / TOLERANCE => Verdict::Faster,
            _ => Verdict::Same,
        }
    }
}

pub(super) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight rounds that wander together by a tenth, and apart by one in a hundred.
    fn rounds(factor: f64, seed: u64) -> (Vec<f64>, Vec<f64>) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut round = |_| {
            let common = 100.0 * (1.0 + 0.1 * random.random::<f64>());
            let mut own = || 1.0 + 0.01 * (random.random::<f64>() - 0.5);
            (common * own(), common * factor * own())
        };
        (0..8).map(&mut round).unzip()
    }

    #[test]
    fn a_tenth_is_seen_in_a_machine_that_wanders_and_three_in_a_hundred_are_let_pass() {
        for seed in 0..8 {
            for (factor, verdict) in
                [(1.0, Verdict::Same), (1.03, Verdict::Same), (1.10, Verdict::Slower), (0.9, Verdict::Faster)]
            {
                let (then, now) = rounds(factor, seed);
                let interval = Interval::of_ratio(&then, &now);
                assert_eq!(interval.verdict(), verdict, "{factor}, seed {seed}: {interval:?}");
                assert!(interval.low <= interval.middle && interval.middle <= interval.high, "{interval:?}");
            }
        }
    }

    #[test]
    fn one_bad_round_is_no_slowdown() {
        let then = vec![100.0; 8];
        let mut now = then.clone();
        now[3] = 200.0;
        assert_eq!(Interval::of_ratio(&then, &now).verdict(), Verdict::Same);
    }
}
