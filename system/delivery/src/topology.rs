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
use crate::names::{self, PARTITIONS, Partition};
use crate::rules::Rules;
use crate::view::{NodeId, NodeLine, Slots, View};

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

/// The cluster, as far as this node heard. Answers come all the time and rarely change what is decided from them, so
/// that is shared from one to the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topology {
    pub(crate) shards: Arc<BTreeMap<ShardIndex, Shard>>,
    /// Where each partition lives.
    pub(crate) home: Arc<BTreeMap<Partition, ShardIndex>>,
    /// Every primary with slots, also those without a partition of ours: they vote.
    pub(crate) owners: Arc<BTreeSet<NodeId>>,
    /// The last answer of each node.
    pub(crate) views: BTreeMap<NodeId, Arc<View>>,
    pub(crate) election: Election,
}

impl Topology {
    /// Whether this was decided from the same claims as that one.
    pub(crate) fn decided_as(&self, other: &Topology) -> bool {
        Arc::ptr_eq(&self.home, &other.home)
    }

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

/// Who claims which slots, with which config epoch.
type Claim<'a> = (u64, &'a NodeId, &'a Slots);

/// All claims, the best last: by config epoch; equal epochs (a conflict that the cluster is about to resolve) by id.
fn claims<'a>(views: &'a BTreeMap<NodeId, Arc<View>>, rules: &Rules) -> Vec<Claim<'a>> {
    let primaries = views.values().flat_map(|view| view.nodes.iter()).filter(|(_, line)| line.primary);
    let mut claims: Vec<Claim> = primaries.map(|(id, line)| (line.epoch, id, &line.slots)).collect();
    claims.sort_unstable_by_key(|(epoch, id, _)| (*epoch, *id));
    claims.dedup();
    if rules.lowest_epoch() {
        claims.reverse();
    }
    claims
}

/// The best claim to every slot. Slots between two edges, the edge included, have the same one.
struct Best<'a> {
    edges: Vec<u16>,
    claims: Vec<Option<Claim<'a>>>,
}

impl<'a> Best<'a> {
    /// A better claim is painted over what is there.
    fn of(claims: &[Claim<'a>]) -> Best<'a> {
        let ranges = || claims.iter().flat_map(|claim| claim.2.iter().map(move |range| (claim, range)));
        let mut edges: Vec<u16> = ranges().flat_map(|(_, r)| [*r.start(), r.end().saturating_add(1)]).collect();
        edges.push(0);
        edges.sort_unstable();
        edges.dedup();
        let mut best = Best { claims: vec![None; edges.len()], edges };
        for (claim, range) in ranges().filter(|(_, range)| !range.is_empty()) {
            let (first, last) = (best.place(*range.start()), best.place(*range.end()));
            best.claims[first..=last].fill(Some(*claim));
        }
        best
    }

    fn place(&self, slot: u16) -> usize {
        self.edges.partition_point(|edge| *edge <= slot) - 1
    }

    fn to(&self, slot: u16) -> Option<Claim<'a>> {
        self.claims[self.place(slot)]
    }
}

/// The newest word on where a node is.
fn address_of(views: &BTreeMap<NodeId, Arc<View>>, node: &NodeId) -> Option<RedisAddress> {
    let mut words: Vec<&Arc<View>> = views.values().collect();
    words.sort_by_key(|view| std::cmp::Reverse((view.me == *node, view.asked)));
    words.iter().find_map(|view| view.nodes.get(node)?.address.clone())
}

/// Decides anew. Shards keep their index through a failover, so that what waits for a shard stays with it.
pub(crate) fn decide(
    before: &Topology,
    views: BTreeMap<NodeId, Arc<View>>,
    election: Election,
    rules: &Rules,
) -> Topology {
    if same_claims(before, &views) {
        let (shards, home, owners) = (before.shards.clone(), before.home.clone(), before.owners.clone());
        return Topology { shards, home, owners, views, election };
    }
    let best = Best::of(&claims(&views, rules));
    let owners = best.claims.iter().flatten().map(|claim| claim.1.clone()).collect();
    let mut held: BTreeMap<NodeId, (u64, Vec<Partition>)> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        if let Some((epoch, owner, _)) = best.to(names::slot_of_partition(partition)) {
            match held.get_mut(owner) {
                Some((_, partitions)) => partitions.push(partition),
                None => _ = held.insert(owner.clone(), (epoch, vec![partition])),
            }
        }
    }
    let (mut shards, mut home) = (BTreeMap::new(), BTreeMap::new());
    for (primary, index) in indices(before, &held) {
        let Some(address) = address_of(&views, &primary) else { continue };
        let (epoch, partitions) = held.remove(&primary).unwrap_or_default();
        home.extend(partitions.iter().map(|partition| (*partition, index)));
        shards.insert(index, Shard { index, primary, address, epoch, partitions });
    }
    Topology { shards: Arc::new(shards), home: Arc::new(home), owners: Arc::new(owners), views, election }
}

fn same_claims(before: &Topology, views: &BTreeMap<NodeId, Arc<View>>) -> bool {
    let claims_the_same = |(a, old): (&NodeId, &NodeLine), (b, new): (&NodeId, &NodeLine)| {
        let claim = |line: &NodeLine| (line.primary, line.epoch);
        a == b && claim(old) == claim(new) && old.slots == new.slots && old.address == new.address
    };
    // One node answers at a time, and mostly lists what it listed before: most of this is told by the pointers.
    let same = |old: &Arc<View>, new: &Arc<View>| {
        Arc::ptr_eq(&old.nodes, &new.nodes)
            || old.nodes.len() == new.nodes.len()
                && old.nodes.iter().zip(new.nodes.iter()).all(|(old, new)| claims_the_same(old, new))
    };
    before.views.len() == views.len()
        && before.views.iter().zip(views).all(|((a, old), (b, new))| a == b && same(old, new))
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
