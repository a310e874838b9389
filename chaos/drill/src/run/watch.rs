//! Watches roles and epochs while a drill runs: who is primary of what, who was promoted, after how many elections.
//!
//! What changed goes into the journal and the schedule; steps that wait for an event look here. It asks every node, so
//! a role is what the cluster says of itself, not what the harness believes. Of two nodes that claim the same slots the
//! one with the higher config epoch has them: the other is a primary that was replaced and does not know it yet.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chaos_cluster::{Cluster, NodeView, Role, Seen as Answer, Server, View};
use chaos_observe::{At, Clock, Journal, journal::What};
use tokio::{task::JoinSet, time::sleep};

use super::shards::shard_of_slot;
use crate::schedule::{PromotionSeen, RoleSeen};

/// Between two looks; also the precision of what is measured.
const LOOK: Duration = Duration::from_millis(40);

/// What was seen so far. Clones share it.
#[derive(Clone)]
pub(crate) struct Watch {
    shards: u8,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    roles: Vec<RoleSeen>,
    now: BTreeMap<Server, RoleSeen>,
    epoch: u64,
    lost: Vec<Loss>,
}

/// A primary that a fault took away, and what came of it.
struct Loss {
    server: Server,
    /// The highest epoch anywhere when it was lost: elections since then were for its place.
    epoch: u64,
    seen: PromotionSeen,
}

/// A primary that a fault took away.
pub(crate) struct Lost {
    pub(crate) fault: String,
    pub(crate) server: Server,
    pub(crate) slot: u16,
    pub(crate) at: At,
}

impl Watch {
    pub(crate) fn new(shards: u8) -> Watch {
        Watch { shards, seen: Arc::default() }
    }

    /// Looks until `tasks` ends.
    pub(crate) fn start(&self, cluster: Arc<Cluster>, clock: Clock, journal: Journal, tasks: &mut JoinSet<()>) {
        let watch = self.clone();
        tasks.spawn(async move {
            loop {
                let view = cluster.view().await;
                watch.look(clock.at(view.at), &view, &journal);
                sleep(LOOK).await;
            }
        });
    }

    /// The highest that any node knows.
    pub(crate) fn epoch(&self) -> u64 {
        self.seen().epoch
    }

    /// How many lost primaries were replaced so far.
    pub(crate) fn promoted(&self) -> usize {
        self.seen().lost.iter().filter(|loss| loss.seen.promoted_at.is_some()).count()
    }

    pub(crate) fn lost(&self, lost: Lost) {
        let mut seen = self.seen();
        let promotion = PromotionSeen {
            fault: lost.fault,
            shard: shard_of_slot(self.shards, lost.slot),
            slot: lost.slot,
            from: lost.server.to_string(),
            to: None,
            killed_at: lost.at,
            detected_at: None,
            promoted_at: None,
            failed_elections: 0,
        };
        let epoch = seen.epoch;
        seen.lost.push(Loss { server: lost.server, epoch, seen: promotion });
    }

    pub(crate) fn promotions(&self) -> Vec<PromotionSeen> {
        self.seen().lost.iter().map(|loss| loss.seen.clone()).collect()
    }

    pub(crate) fn roles(&self) -> Vec<RoleSeen> {
        self.seen().roles.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn look(&self, at: At, view: &View, journal: &Journal) {
        let mut seen = self.seen();
        let answers = view.nodes.values().filter_map(answered);
        let epoch = answers.map(|node| node.current_epoch).max().unwrap_or(0);
        seen.epoch = seen.epoch.max(epoch);
        for (server, answer) in &view.nodes {
            let role = self.role(at, *server, answer, view, seen.now.get(server));
            if seen.now.get(server).is_none_or(|before| (&before.role, before.shard) != (&role.role, role.shard)) {
                journal.mark_at(at, told(&role, answered(answer)));
                seen.roles.push(role.clone());
                seen.now.insert(*server, role);
            }
        }
        for loss in &mut seen.lost {
            loss.look(at, view, journal);
        }
    }

    /// A node that is down or hung keeps the shard that it had.
    fn role(&self, at: At, server: Server, answer: &Answer, view: &View, before: Option<&RoleSeen>) -> RoleSeen {
        let shard_of = |node: &NodeView| node.slots.first().map(|(first, _)| shard_of_slot(self.shards, *first));
        let (role, shard, epoch) = match answered(answer) {
            None => ("down", None, 0),
            Some(node) => match node.role {
                Role::Primary => ("primary", shard_of(node), node.config_epoch),
                Role::Replica { of } => {
                    let primary = of.and_then(|of| view.nodes.get(&of)).and_then(answered);
                    ("replica", primary.and_then(shard_of), node.config_epoch)
                }
            },
        };
        let shard = shard.or_else(|| before.and_then(|before| before.shard));
        RoleSeen { at, server: server.to_string(), role: role.to_owned(), shard, epoch }
    }
}

impl Loss {
    fn look(&mut self, at: At, view: &View, journal: &Journal) {
        if self.seen.promoted_at.is_some() {
            return;
        }
        let survivors = view.nodes.iter().filter(|(server, _)| **server != self.server);
        let mut survivors = survivors.filter_map(|(server, answer)| Some((*server, answered(answer)?)));
        let agreed = |node: &NodeView| node.peers.get(&self.server).is_some_and(|peer| peer.failed);
        if self.seen.detected_at.is_none() && survivors.clone().any(|(_, node)| agreed(node)) {
            self.seen.detected_at = Some(at);
        }
        let slot = self.seen.slot;
        let owns = |node: &NodeView| node.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot));
        let Some((server, node)) = survivors.find(|(_, node)| node.role == Role::Primary && owns(node)) else { return };
        self.seen.to = Some(server.to_string());
        self.seen.promoted_at = Some(at);
        self.seen.detected_at.get_or_insert(at);
        // The winner's epoch is that of its election; each one between was for nothing.
        self.seen.failed_elections = node.config_epoch.saturating_sub(self.epoch + 1) as u32;
        let took = at.since(self.seen.killed_at).as_micros() as u64;
        journal
            .mark_at(at, What::Note { text: format!("{server} promoted in place of {} after {took} us", self.server) });
    }
}

fn answered(answer: &Answer) -> Option<&NodeView> {
    match answer {
        Answer::Answered(node) => Some(node),
        Answer::Silent(_) => None,
    }
}

fn told(role: &RoleSeen, node: Option<&NodeView>) -> What {
    let slots = node.map(|node| node.slots.iter().map(|(first, last)| format!("{first}-{last}")).collect::<Vec<_>>());
    let slots = slots.unwrap_or_default().join(" ");
    What::Role { node: role.server.clone(), role: role.role.clone(), epoch: role.epoch, slots }
}
