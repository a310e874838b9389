//! Shards by number, from 1, in the order of their lowest slots when the load began. Slots do not move in the drills that
//! there are.

use chaos_cluster::{Server, Shard};

#[derive(Clone, Debug, Default)]
pub(crate) struct Shards(Vec<Shard>);

impl Shards {
    pub(crate) fn of(shards: Vec<Shard>) -> Shards {
        Shards(shards)
    }

    pub(crate) fn of_slot(&self, slot: u16) -> Option<u32> {
        self.find(|shard| shard.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot)))
    }

    /// That of a primary, as it was then.
    pub(crate) fn of_primary(&self, server: Server) -> Option<u32> {
        self.find(|shard| shard.primary == server)
    }

    fn find(&self, is: impl Fn(&Shard) -> bool) -> Option<u32> {
        (1..).zip(&self.0).find(|(_, shard)| is(shard)).map(|(number, _)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_what_its_primary_has_whichever_slots_these_are() {
        let shard = |number, slots| Shard { primary: Server::Redis(number), replicas: Vec::new(), slots };
        let shards = Shards::of(vec![shard(4, vec![(0, 9), (200, 300)]), shard(2, vec![(10, 199)])]);
        assert_eq!([9, 10, 300, 301].map(|slot| shards.of_slot(slot)), [Some(1), Some(2), Some(1), None]);
        assert_eq!([4, 2, 1].map(|number| shards.of_primary(Server::Redis(number))), [Some(1), Some(2), None]);
    }
}
