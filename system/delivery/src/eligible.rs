//! Who must have answered before an ack may leave: k = |U ∪ A|, at least 1.
//!
//! U, who could be elected: every replica of the shard that a primary lists, except those that a majority of the
//! primaries, each asked by us a moment ago, flag as failed, and those that by their own word cannot be elected. One
//! that does not answer us counts.
//!
//! A, whom WAIT counts: every replica that this primary calls online, also one that is cut off from the bus. Without it
//! a flagged one that is still attached could stand in for the one that will be elected. A alone would not do either: a
//! primary cut off with one of two replicas would ack into a minority.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::rules::Rules;
use crate::topology::Topology;
use crate::view::{NodeId, ReplicaLink, View};

/// A replica, by its id; or by its address, where nobody has said who that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder<'a> {
    Node(&'a NodeId),
    Stranger(&'a str, u16),
}

/// How many replicas must answer. `fresh`: how old an answer may be to excuse a replica.
pub(crate) fn k(
    topology: &Topology,
    primary: &NodeId,
    online: &[(String, u16)],
    now: Instant,
    fresh: Duration,
    rules: &Rules,
) -> usize {
    // Few: a set would cost more than it saves.
    let mut holders = Vec::with_capacity(8);
    for (host, port) in online.iter().filter(|_| !rules.unattached_only()) {
        // Two attached replicas are never one: where two addresses lead to one name, the second stands for itself.
        let stranger = Holder::Stranger(host, *port);
        let attached = topology.node_at(host, *port).map_or(stranger, Holder::Node);
        let taken = holders.contains(&attached);
        add(&mut holders, if taken { stranger } else { attached });
    }
    if !rules.attached_only() {
        for id in electable(topology, primary, now, fresh, rules) {
            add(&mut holders, Holder::Node(id));
        }
    }
    holders.len().max(1)
}

fn add<T: PartialEq>(to: &mut Vec<T>, new: T) {
    if !to.contains(&new) {
        to.push(new);
    }
}

fn electable<'a>(
    topology: &'a Topology,
    primary: &'a NodeId,
    now: Instant,
    fresh: Duration,
    rules: &Rules,
) -> Vec<&'a NodeId> {
    let mut listed = Vec::with_capacity(8);
    for view in topology.owners.iter().filter_map(|owner| topology.views.get(owner)) {
        for replica in replicas_in(view, primary) {
            add(&mut listed, replica);
        }
    }
    listed.retain(|replica| {
        !failed_by_majority(topology, replica, now, fresh, rules) && !disqualified(topology, replica, now, fresh, rules)
    });
    listed
}

/// In a view that lags behind a failover the primary is still listed as a replica: then its siblings are its replicas.
fn replicas_in<'a>(view: &'a View, primary: &'a NodeId) -> impl Iterator<Item = &'a NodeId> {
    let former = view.nodes.get(primary).and_then(|line| line.follows.as_ref());
    let leads = move |followed: &NodeId| followed == primary || Some(followed) == former;
    let replicas =
        view.nodes.iter().filter(move |(id, line)| *id != primary && line.follows.as_ref().is_some_and(leads));
    replicas.map(|(id, _)| id)
}

fn is_fresh(view: &View, now: Instant, fresh: Duration) -> bool {
    now.saturating_duration_since(view.asked) <= fresh
}

fn failed_by_majority(topology: &Topology, replica: &NodeId, now: Instant, fresh: Duration, rules: &Rules) -> bool {
    let counts = |view: &View| (is_fresh(view, now, fresh) || rules.old_flags()) && view.is_primary();
    let flags = |owner: &&NodeId| {
        let flags = |view: &Arc<View>| counts(view) && view.nodes.get(replica).is_some_and(|line| line.failed);
        topology.views.get(*owner).is_some_and(flags)
    };
    let flags = topology.owners.iter().filter(flags).count();
    2 * flags > topology.owners.len() || rules.any_flag() && flags > 0
}

/// By its own word it cannot be elected: never synchronised since its start, or out of touch for too long.
fn disqualified(topology: &Topology, replica: &NodeId, now: Instant, fresh: Duration, rules: &Rules) -> bool {
    let Some(view) = topology.views.get(replica).filter(|view| is_fresh(view, now, fresh)) else {
        return rules.silent_excused();
    };
    let limit = topology.election.eligibility();
    match view.replication.link {
        Some(ReplicaLink::Never) => limit.is_some(),
        Some(ReplicaLink::Up(silent) | ReplicaLink::Down(silent)) => limit.is_some_and(|limit| silent > limit),
        None => false,
    }
}

#[cfg(test)]
#[path = "eligible_tests.rs"]
mod tests;
