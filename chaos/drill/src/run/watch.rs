//! Watches roles and epochs while a drill runs: who is primary of what, who was promoted, after how many elections.
//!
//! What changed goes into the journal and the schedule; steps that wait for an event look here. Every node is asked by
//! itself, so a role is what the cluster says, not what the harness believes, and a hung node delays no measurement.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chaos_cluster::{Change, Changed, Cluster, Role, Server, View};
use chaos_observe::{At, Clock, Journal, journal::What};
use tokio::{task::JoinSet, time::sleep};

use super::shards::Shards;
use crate::schedule::{PromotionSeen, RoleSeen};

/// Between two looks; also the precision of what is measured.
const LOOK: Duration = Duration::from_millis(25);

/// What was seen so far. Clones share it.
#[derive(Clone)]
pub(crate) struct Watch {
    shards: Shards,
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
    pub(crate) fn new(shards: Shards) -> Watch {
        Watch { shards, seen: Arc::default() }
    }

    /// Watches until `tasks` ends.
    pub(crate) async fn start(&self, cluster: &Arc<Cluster>, clock: Clock, journal: Journal, tasks: &mut JoinSet<()>) {
        // Only rises are told; without the epoch to begin with, those of the forming would look like elections.
        self.epoch_at_least(cluster.view().await.epoch());
        let (watch, mut watcher) = (self.clone(), cluster.watch(LOOK));
        tasks.spawn(async move {
            while let Some(change) = watcher.changes.recv().await {
                watch.heard(clock.at(change.at), &change, &journal);
            }
        });
        let (watch, cluster) = (self.clone(), Arc::clone(cluster));
        tasks.spawn(async move {
            loop {
                if watch.waits_for_detection() {
                    let view = cluster.view().await;
                    watch.looked(clock.at(view.at), &view);
                }
                sleep(LOOK).await;
            }
        });
    }

    /// The highest that any node knows.
    pub(crate) fn epoch(&self) -> u64 {
        self.seen().epoch
    }

    fn epoch_at_least(&self, epoch: u64) {
        let mut seen = self.seen();
        seen.epoch = seen.epoch.max(epoch);
    }

    /// How many lost primaries were replaced so far.
    pub(crate) fn promoted(&self) -> usize {
        self.seen().lost.iter().filter(|loss| loss.seen.promoted_at.is_some()).count()
    }

    pub(crate) fn lost(&self, lost: Lost) {
        let mut seen = self.seen();
        let promotion = PromotionSeen {
            fault: lost.fault,
            shard: self.shards.of_slot(lost.slot).unwrap_or_default(),
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

    /// It was lost later than at first believed: at this time it still served.
    pub(crate) fn served(&self, fault: &str, server: Server, at: At) {
        for loss in self.seen().lost.iter_mut().filter(|loss| loss.seen.fault == fault && loss.server == server) {
            loss.seen.killed_at = loss.seen.killed_at.max(at);
        }
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

    /// One node said something new of itself, or fell silent.
    pub(crate) fn heard(&self, at: At, change: &Change, journal: &Journal) {
        let mut seen = self.seen();
        let server = change.server;
        match &change.what {
            Changed::Epoch { to, .. } => seen.epoch = seen.epoch.max(*to),
            Changed::Role { role, config_epoch, slots } => {
                seen.epoch = seen.epoch.max(*config_epoch);
                let now = self.role(&seen, at, server, *role, *config_epoch, slots);
                seen.note(server, now, slots, journal);
                if *role == Role::Primary {
                    seen.lost.iter_mut().for_each(|loss| loss.promoted(at, server, *config_epoch, slots, journal));
                }
            }
            Changed::Silent(_) => {
                let shard = seen.now.get(&server).and_then(|before| before.shard);
                let now = RoleSeen { at, server: server.to_string(), role: "down".to_owned(), shard, epoch: 0 };
                seen.note(server, now, &[], journal);
            }
            // What it is now is told by itself.
            Changed::Answers => {}
        }
    }

    fn role(&self, seen: &Seen, at: At, server: Server, role: Role, epoch: u64, slots: &[(u16, u16)]) -> RoleSeen {
        let own = slots.first().and_then(|(first, _)| self.shards.of_slot(*first));
        let followed = match role {
            Role::Replica { of: Some(of) } => {
                seen.now.get(&of).map_or_else(|| self.shards.of_primary(of), |of| of.shard)
            }
            _ => None,
        };
        let before = seen.now.get(&server).and_then(|before| before.shard);
        let name = if role == Role::Primary { "primary" } else { "replica" };
        let shard = own.or(followed).or(before);
        RoleSeen { at, server: server.to_string(), role: name.to_owned(), shard, epoch }
    }

    fn waits_for_detection(&self) -> bool {
        self.seen().lost.iter().any(|loss| loss.seen.detected_at.is_none())
    }

    /// Whether survivors agree by now that a lost primary has failed.
    pub(crate) fn looked(&self, at: At, view: &View) {
        for loss in &mut self.seen().lost {
            let mut survivors = view.answered().filter(|(server, _)| *server != loss.server);
            if survivors.any(|(_, node)| node.peers.get(&loss.server).is_some_and(|peer| peer.failed)) {
                loss.seen.detected_at.get_or_insert(at);
            }
        }
    }
}

impl Seen {
    fn note(&mut self, server: Server, now: RoleSeen, slots: &[(u16, u16)], journal: &Journal) {
        if self.now.get(&server).is_some_and(|before| (&before.role, before.shard) == (&now.role, now.shard)) {
            return;
        }
        let slots: Vec<_> = slots.iter().map(|(first, last)| format!("{first}-{last}")).collect();
        let (node, role, epoch) = (now.server.clone(), now.role.clone(), now.epoch);
        journal.mark_at(now.at, What::Role { node, role, epoch, slots: slots.join(" ") });
        self.roles.push(now.clone());
        self.now.insert(server, now);
    }
}

impl Loss {
    /// `server` says that it is primary of these slots.
    fn promoted(&mut self, at: At, server: Server, config_epoch: u64, slots: &[(u16, u16)], journal: &Journal) {
        let owns = slots.iter().any(|(first, last)| (*first..=*last).contains(&self.seen.slot));
        if self.seen.promoted_at.is_some() || server == self.server || !owns {
            return;
        }
        self.seen.to = Some(server.to_string());
        self.seen.promoted_at = Some(at);
        self.seen.detected_at.get_or_insert(at);
        // The winner's epoch is that of its election; each one between was for nothing.
        self.seen.failed_elections = config_epoch.saturating_sub(self.epoch + 1) as u32;
        let took = at.since(self.seen.killed_at);
        journal.mark_at(
            at,
            What::Note { text: format!("{server} is primary in place of {} after {took:.2?}", self.server) },
        );
    }
}
