//! Seeded chances: every decision of a simulated world comes from here, so that a seed is a world.
//!
//! Streams are forked by name: what one part draws never shifts what another part draws, so removing a fault while
//! shrinking leaves the clients' messages and the network's delays where they were. The generator is SplitMix64
//! (Steele, Lea, Flood 2014): ten lines that no update of a crate can change. Deliberately absent: cryptography.

/// One stream of chances. Cloning copies the state; fork instead, unless the copy is what you want.
#[derive(Debug, Clone)]
pub struct Chance {
    state: u64,
}

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance { state: mixed(seed ^ 0x5851_f42d_4c95_7f2d) }
    }

    /// A stream of its own, the same for the same seed and name whatever was drawn from this one after its birth.
    pub fn fork(&self, name: &str) -> Chance {
        let named = name.bytes().fold(self.state, |state, byte| mixed(state ^ u64::from(byte)));
        Chance { state: named }
    }

    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.state)
    }

    /// Between `low` and `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        debug_assert!(low <= high);
        low + self.draw() % (high - low + 1)
    }

    /// True in `percent` of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.draw() % 100 < percent
    }

    pub fn index(&mut self, length: usize) -> usize {
        debug_assert!(length > 0);
        (self.draw() % length as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.index(among.len())]
    }

    /// One after another, each equally likely to stand anywhere.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.index(at + 1));
        }
    }
}

/// The finaliser of SplitMix64: every input bit reaches every output bit.
pub fn mixed(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_does_not_depend_on_what_others_drew() {
        let root = Chance::new(7);
        let mut alone = root.fork("faults");
        let mut other = root.fork("network");
        other.draw();
        assert_eq!(alone.draw(), root.fork("faults").draw());
        assert_ne!(root.fork("faults").draw(), root.fork("network").draw());
    }

    #[test]
    fn both_ends_of_a_range_are_drawn() {
        let mut chance = Chance::new(1);
        let drawn: std::collections::BTreeSet<_> = (0..100).map(|_| chance.between(3, 5)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5]);
    }
}
