//! Who must have answered before an ack may leave: k = |U ∪ A|, at least 1.
//!
//! U, who could be elected: every replica of the shard that a primary lists, except those that a majority of the
//! primaries, each asked by us a moment ago, flag as failed, and those that by their own word cannot be elected. One
//! that does not answer us counts.
//!
//! A, whom WAIT counts: every replica that this primary calls online, also one that is cut off from the bus. Without it
//! a flagged one that is still attached could stand in for the one that will be elected. A alone would not do either: a
//! primary cut off with one of two replicas would ack into a minority.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::rules::Rules;
use crate::topology::Topology;
use crate::view::{NodeId, ReplicaLink, View};

/// A replica, by its id; or by its address, where nobody has said who that is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    Node(NodeId),
    Stranger(String, u16),
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
    let mut holders = BTreeSet::new();
    for (host, port) in online.iter().filter(|_| !rules.unattached_only()) {
        // Two attached replicas are never one: where two addresses lead to one name, the second stands for itself.
        if !holders.insert(attached(topology, host, *port)) {
            holders.insert(Holder::Stranger(host.clone(), *port));
        }
    }
    if !rules.attached_only() {
        holders.extend(electable(topology, primary, now, fresh).into_iter().map(Holder::Node));
    }
    holders.len().max(1)
}

fn attached(topology: &Topology, host: &str, port: u16) -> Holder {
    match topology.node_at(host, port) {
        Some(id) => Holder::Node(id.clone()),
        None => Holder::Stranger(host.to_owned(), port),
    }
}

fn electable(topology: &Topology, primary: &NodeId, now: Instant, fresh: Duration) -> BTreeSet<NodeId> {
    let mut listed = BTreeSet::new();
    for view in topology.owners.iter().filter_map(|owner| topology.views.get(owner)) {
        listed.extend(replicas_in(view, primary));
    }
    listed.retain(|replica| {
        !failed_by_majority(topology, replica, now, fresh) && !disqualified(topology, replica, now, fresh)
    });
    listed
}

/// In a view that lags behind a failover the primary is still listed as a replica: then its siblings are its replicas.
fn replicas_in(view: &View, primary: &NodeId) -> Vec<NodeId> {
    let former = view.nodes.get(primary).and_then(|line| line.follows.as_ref());
    let leads = |followed: &NodeId| followed == primary || Some(followed) == former;
    let replicas = view.nodes.iter().filter(|(id, line)| *id != primary && line.follows.as_ref().is_some_and(leads));
    replicas.map(|(id, _)| id.clone()).collect()
}

fn is_fresh(view: &View, now: Instant, fresh: Duration) -> bool {
    now.saturating_duration_since(view.asked) <= fresh
}

fn failed_by_majority(topology: &Topology, replica: &NodeId, now: Instant, fresh: Duration) -> bool {
    let flags = |owner: &&NodeId| {
        topology.views.get(*owner).is_some_and(|view| {
            is_fresh(view, now, fresh) && view.is_primary() && view.nodes.get(replica).is_some_and(|line| line.failed)
        })
    };
    2 * topology.owners.iter().filter(flags).count() > topology.owners.len()
}

/// By its own word it cannot be elected: never synchronised since its start, or out of touch for too long.
fn disqualified(topology: &Topology, replica: &NodeId, now: Instant, fresh: Duration) -> bool {
    let Some(view) = topology.views.get(replica).filter(|view| is_fresh(view, now, fresh)) else { return false };
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
