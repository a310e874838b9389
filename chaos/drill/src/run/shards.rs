//! Shards by number: the slots that a cluster gives each of them when it is formed, equal parts, the last with the rest.

const SLOTS: u16 = 16_384;

/// From 1. Slots do not move in the drills that there are.
pub(crate) fn shard_of_slot(shards: u8, slot: u16) -> u32 {
    let part = SLOTS / u16::from(shards.max(1));
    u32::from((slot / part + 1).min(u16::from(shards.max(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_shard_and_the_last_takes_the_rest() {
        assert_eq!([0, 5460, 5461, 10921, 10922, 16383].map(|slot| shard_of_slot(3, slot)), [1, 1, 2, 2, 3, 3]);
        assert_eq!([0, 16383].map(|slot| shard_of_slot(1, slot)), [1, 1]);
    }
}
