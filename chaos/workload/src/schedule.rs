//! When who sends where: the same for the same seed and settings, whatever the system under test does. Pure.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{FanOut, Spacing, spread::Seat};

/// One send and its intended time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Since the load began.
    pub(crate) at: Duration,
    /// Index into the seats.
    pub(crate) user: usize,
    /// Index of the room.
    pub(crate) room: u32,
}

/// Endless; the caller stops taking.
pub(crate) struct Schedule {
    rng: ChaCha8Rng,
    spacing: Spacing,
    gap: Duration,
    memberships: Vec<(usize, u32)>,
    at: Duration,
    turn: usize,
}

impl Schedule {
    pub(crate) fn new(load: &FanOut, seats: &[Seat], seed: u64) -> Schedule {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut memberships: Vec<(usize, u32)> = seats
            .iter()
            .enumerate()
            .flat_map(|(user, seat)| seat.rooms.iter().map(move |room| (user, *room)))
            .collect();
        shuffle(&mut memberships, &mut rng);
        let gap = Duration::from_secs(1) / load.sends_per_second.max(1);
        Schedule { rng, spacing: load.spacing, gap, memberships, at: Duration::ZERO, turn: 0 }
    }

    fn next_gap(&mut self) -> Duration {
        match self.spacing {
            Spacing::Even => self.gap,
            // The inverse of the exponential distribution; 1 - x keeps the logarithm's argument above 0.
            Spacing::Exponential => self.gap.mul_f64(-(1.0 - self.rng.random_range(0.0..1.0_f64)).ln()),
        }
    }

    fn next_membership(&mut self) -> (usize, u32) {
        let many = self.memberships.len();
        let pick = match self.spacing {
            Spacing::Even => self.turn % many,
            Spacing::Exponential => self.rng.random_range(0..many),
        };
        self.turn += 1;
        self.memberships[pick]
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        let gap = self.next_gap();
        self.at += gap;
        let (user, room) = self.next_membership();
        Some(Due { at: self.at, user, room })
    }
}

fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, rng.random_range(0..=last));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::spread::seats;

    fn taken(spacing: Spacing, seed: u64, many: usize) -> Vec<Due> {
        let load = FanOut { rooms: 4, members_per_room: 5, sends_per_second: 200, spacing, ..FanOut::default() };
        Schedule::new(&load, &seats(&load, 3), seed).take(many).collect()
    }

    #[test]
    fn the_same_seed_sends_the_same() {
        assert_eq!(taken(Spacing::Exponential, 7, 500), taken(Spacing::Exponential, 7, 500));
        assert_ne!(taken(Spacing::Exponential, 7, 500), taken(Spacing::Exponential, 8, 500));
    }

    #[test]
    fn the_rate_is_the_one_asked_for() {
        for spacing in [Spacing::Even, Spacing::Exponential] {
            let last = taken(spacing, 1, 20_000).last().expect("it is endless").at.as_secs_f64();
            assert!((last - 100.0).abs() < 3.0, "{spacing:?}: 20000 sends at 200/s took {last} s");
        }
    }

    #[test]
    fn everyone_gets_to_speak_in_every_room_of_its_own() {
        let mut count = BTreeMap::new();
        for due in taken(Spacing::Even, 1, 200) {
            *count.entry((due.user, due.room)).or_insert(0) += 1;
        }
        assert_eq!(count.len(), 20);
        assert!(count.values().all(|times| *times == 10));
    }

    #[test]
    fn exponential_gaps_vary_as_they_should() {
        let due = taken(Spacing::Exponential, 3, 10_000);
        let gaps: Vec<f64> = due.windows(2).map(|two| two[1].at.as_secs_f64() - two[0].at.as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let above = gaps.iter().filter(|gap| **gap > mean).count() as f64 / gaps.len() as f64;
        assert!((above - (-1.0_f64).exp()).abs() < 0.02, "{above} of the gaps are above the mean");
    }
}
