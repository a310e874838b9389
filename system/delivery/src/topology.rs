//! Who owns which slot, decided from what the nodes say; no I/O.
//!
//! A slot's owner is the claimant with the highest config epoch in any answer. After an error on a node its own claim
//! alone is not enough: a majority of the primaries must have been heard since, because a primary whose bus alone is
//! cut, or one that just woke, names itself for as long as nobody tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use crate::config::Election;
use crate::edge::RedisAddress;
use crate::names::{self, PARTITIONS, Partition, SLOTS};
use crate::view::{NodeId, View};

pub(crate) type ShardIndex = usize;

/// A primary, and what lives there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) index: ShardIndex,
    pub(crate) primary: NodeId,
    pub(crate) address: RedisAddress,
    pub(crate) epoch: u64,
    pub(crate) partitions: Vec<Partition>,
}

/// The cluster, as far as this node heard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topology {
    pub(crate) shards: BTreeMap<ShardIndex, Shard>,
    /// Where each partition lives.
    pub(crate) home: BTreeMap<Partition, ShardIndex>,
    /// Every primary with slots, also those without a partition of ours: they vote.
    pub(crate) owners: BTreeSet<NodeId>,
    /// The last answer of each node.
    pub(crate) views: BTreeMap<NodeId, Arc<View>>,
    pub(crate) election: Election,
}

impl Topology {
    /// Whether a majority of the primaries answered what was asked after this moment.
    pub(crate) fn majority_heard_since(&self, moment: Instant) -> bool {
        let heard = |node: &&NodeId| self.views.get(*node).is_some_and(|view| view.asked > moment);
        2 * self.owners.iter().filter(heard).count() > self.owners.len()
    }

    /// Which node is listed there, by the cluster's word or by its own.
    pub(crate) fn node_at(&self, host: &str, port: u16) -> Option<&NodeId> {
        let own = |view: &&Arc<View>| view.aliases.iter().any(|(h, p)| h == host && *p == port);
        let listed = || {
            let lines = self.views.values().flat_map(|view| view.nodes.iter());
            lines.filter(|(_, line)| line.address.as_ref().is_some_and(|a| a.is_at(host, port))).map(|(id, _)| id)
        };
        self.views.values().find(own).map(|view| &view.me).or_else(|| listed().next())
    }

    /// A node that answers for this address, for a reply that says ASK.
    pub(crate) fn shard_at(&self, host: &str, port: u16) -> Option<&Shard> {
        let node = self.node_at(host, port);
        self.shards.values().find(|shard| shard.address.is_at(host, port) || Some(&shard.primary) == node)
    }
}

/// The best claim to every slot, by config epoch; equal epochs (a conflict that the cluster is about to resolve) by id.
fn claims(views: &BTreeMap<NodeId, Arc<View>>) -> Vec<Option<(u64, NodeId)>> {
    let mut best: Vec<Option<(u64, NodeId)>> = vec![None; usize::from(SLOTS)];
    for view in views.values() {
        for (id, line) in view.nodes.iter().filter(|(_, line)| line.primary) {
            for slot in line.slots.iter().cloned().flatten().filter(|slot| *slot < SLOTS) {
                let claim = &mut best[usize::from(slot)];
                if claim.as_ref().is_none_or(|(epoch, owner)| (*epoch, owner) < (line.epoch, id)) {
                    *claim = Some((line.epoch, id.clone()));
                }
            }
        }
    }
    best
}

/// The newest word on where a node is.
fn address_of(views: &BTreeMap<NodeId, Arc<View>>, node: &NodeId) -> Option<RedisAddress> {
    let mut words: Vec<&Arc<View>> = views.values().collect();
    words.sort_by_key(|view| std::cmp::Reverse((view.me == *node, view.asked)));
    words.iter().find_map(|view| view.nodes.get(node)?.address.clone())
}

/// Decides anew. Shards keep their index through a failover, so that what waits for a shard stays with it.
pub(crate) fn decide(before: &Topology, views: BTreeMap<NodeId, Arc<View>>, election: Election) -> Topology {
    if same_claims(before, &views) {
        return Topology { views, election, ..before.clone() };
    }
    let best = claims(&views);
    let owners: BTreeSet<NodeId> = best.iter().flatten().map(|(_, id)| id.clone()).collect();
    let mut held: BTreeMap<NodeId, (u64, Vec<Partition>)> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        if let Some((epoch, owner)) = &best[usize::from(names::slot_of_partition(partition))] {
            let entry = held.entry(owner.clone()).or_insert((*epoch, Vec::new()));
            entry.1.push(partition);
        }
    }
    let mut topology = Topology { owners, election, ..Topology::default() };
    for (primary, index) in indices(before, &held) {
        let Some(address) = address_of(&views, &primary) else { continue };
        let (epoch, partitions) = held.remove(&primary).unwrap_or_default();
        topology.home.extend(partitions.iter().map(|partition| (*partition, index)));
        topology.shards.insert(index, Shard { index, primary, address, epoch, partitions });
    }
    Topology { views, ..topology }
}

fn same_claims(before: &Topology, views: &BTreeMap<NodeId, Arc<View>>) -> bool {
    let same = |(id, view): (&NodeId, &Arc<View>)| {
        before.views.get(id).is_some_and(|old| {
            // One node answers at a time: all other views are the very ones of before.
            Arc::ptr_eq(old, view)
                || old.nodes.len() == view.nodes.len()
                    && old.nodes.iter().zip(&view.nodes).all(|((a, x), (b, y))| {
                        a == b
                            && x.primary == y.primary
                            && x.epoch == y.epoch
                            && x.slots == y.slots
                            && x.address == y.address
                    })
        })
    };
    before.views.len() == views.len() && views.iter().all(same)
}

/// A primary that was known keeps its index; a new one takes over from the shard that it has most partitions of and
/// that lost its primary; else it is a new shard.
fn indices(before: &Topology, held: &BTreeMap<NodeId, (u64, Vec<Partition>)>) -> BTreeMap<NodeId, ShardIndex> {
    let mut taken: BTreeMap<NodeId, ShardIndex> = BTreeMap::new();
    let mut orphans: Vec<&Shard> = Vec::new();
    for shard in before.shards.values() {
        if held.contains_key(&shard.primary) {
            taken.insert(shard.primary.clone(), shard.index);
        } else {
            orphans.push(shard);
        }
    }
    let mut next = before.shards.keys().last().map_or(0, |last| last + 1);
    for (primary, (_, partitions)) in held {
        if taken.contains_key(primary) {
            continue;
        }
        let shared = |shard: &&Shard| shard.partitions.iter().filter(|p| partitions.contains(p)).count();
        let heir = orphans.iter().enumerate().map(|(at, shard)| (shared(shard), at)).max();
        let index = if let Some((_, at)) = heir.filter(|(shared, _)| *shared > 0) {
            orphans.remove(at).index
        } else {
            next += 1;
            next - 1
        };
        taken.insert(primary.clone(), index);
    }
    taken
}

#[cfg(test)]
#[path = "topology_tests.rs"]
mod tests;
