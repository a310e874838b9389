//! The replica's way to become primary: eligible, a delay by rank, votes of a majority, a new epoch.
//!
//! Source: redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec ("Replica election and promotion",
//! "Masters reply to replica vote request"), Redis cluster_legacy.c (clusterHandleReplicaFailover,
//! clusterSendFailoverAuthIfNeeded). What it takes in all is the formula of docs/drills.md, "Budgets", to which drills hold
//! real servers (R14).

use std::collections::BTreeSet;

use tokio::time::{Duration, Instant, sleep};

use super::Redis;
use super::replication::MasterLink;
use super::state::State;
use super::view::Role;

/// One attempt of one replica.
#[derive(Debug, Clone)]
pub struct Election {
    /// When votes are asked for.
    pub at: Instant,
    pub rank: usize,
    pub epoch: Option<u64>,
    pub votes: usize,
}

/// What happened, for the judge and for scenarios.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub promotions: u64,
    pub failed_elections: u64,
    /// Writes that a primary took which had been replaced before their connection was made.
    pub stray_writes: u64,
    /// Scripts that the model doesn't know: what they were to do was not done.
    pub unmodelled: u64,
    /// Who gets no votes: they are lost on the way.
    pub voteless: BTreeSet<usize>,
}

impl State {
    /// Source: clusterHandleReplicaFailover, `auth_timeout`; what it is tried again after is twice that.
    fn auth_timeout(&self) -> Duration {
        (self.settings.node_timeout * 2).max(Duration::from_secs(2))
    }

    /// May it stand? Its data must not be older than the validity factor allows; never synchronised is too old, unless
    /// the factor is 0: then anybody may. Source: clusterHandleReplicaFailover, `data_age`.
    pub fn eligible(&self, me: usize) -> bool {
        let settings = &self.settings;
        if settings.validity_factor == 0 {
            return true;
        }
        let age = self.servers[me].link.silent_for();
        let most = settings.repl_ping + settings.node_timeout * (settings.validity_factor + 1);
        age.is_some_and(|age| age <= most)
    }

    /// Replicas of the same primary that hold more, as they last told.
    fn rank(&self, me: usize, master: usize) -> usize {
        let view = &self.servers[me].view;
        let ahead = |index: &usize| {
            let peer = &view.peers[*index];
            *index != me && peer.role == Role::ReplicaOf(master) && peer.offset > self.servers[me].offset
        };
        (0..view.peers.len()).filter(ahead).count()
    }

    /// Part of the cron: stand for election when the primary has failed.
    pub fn consider_election(&mut self, me: usize) {
        let Some(master) = self.servers[me].master() else { return };
        let view = &self.servers[me].view;
        if view.peers[master].failed.is_none() || !view.owns_any(master) || !self.eligible(me) {
            return;
        }
        let rank = self.rank(me, master);
        let retry = self.auth_timeout() * 2;
        let old = self.servers[me].election.take().filter(|election| election.at.elapsed() <= retry);
        let election = if let Some(mut election) = old {
            // Someone else turned out to hold more: wait longer.
            if election.epoch.is_none() && rank > election.rank {
                election.at += Duration::from_secs((rank - election.rank) as u64);
                election.rank = rank;
            }
            election
        } else {
            // clusterHandleReplicaFailover, `failover_auth_time`.
            let wait = 500 + self.chance.between(0, 500) + rank as u64 * 1000;
            Election { at: Instant::now() + Duration::from_millis(wait), rank, epoch: None, votes: 0 }
        };
        self.servers[me].election = Some(election);
    }

    /// The moment has come: a new epoch to ask votes for.
    fn stand(&mut self, me: usize) -> Option<(u64, usize)> {
        let master = self.servers[me].master()?;
        let due = |election: &Election| election.epoch.is_none() && election.at <= Instant::now();
        if !self.servers[me].running() || !self.servers[me].election.as_ref().is_some_and(due) {
            return None;
        }
        let server = &mut self.servers[me];
        server.view.current_epoch += 1;
        let epoch = server.view.current_epoch;
        server.election.as_mut()?.epoch = Some(epoch);
        self.trace.tell(format!("redis-{} asks for votes, epoch {epoch}", me + 1));
        Some((epoch, master))
    }

    /// A voting primary's answer to a request.
    fn vote(&mut self, voter: usize, candidate: usize, epoch: u64, master: usize) -> bool {
        // clusterSendFailoverAuthIfNeeded: `voted_time`.
        let patience = self.settings.node_timeout * 2;
        // A claim to slots that this voter knows with a higher epoch is outdated.
        let claims: Vec<_> = self.servers[candidate].view.owned_by(master).collect();
        let claimed = self.servers[candidate].view.peers[master].config_epoch;
        let server = &mut self.servers[voter];
        server.view.current_epoch = server.view.current_epoch.max(epoch);
        let view = &server.view;
        let votes = server.is_primary() && view.owns_any(voter);
        let stale = epoch < view.current_epoch || server.last_vote_epoch >= epoch;
        let recent = server.voted.get(&master).is_some_and(|at| at.elapsed() < patience);
        let failed = view.peers[master].failed.is_some();
        let outdated = claims.iter().any(|unit| view.peers[view.owner[*unit]].config_epoch > claimed);
        let yes = votes && !stale && !recent && failed && !outdated;
        if yes {
            let server = &mut self.servers[voter];
            server.last_vote_epoch = epoch;
            server.voted.insert(master, Instant::now());
        }
        yes
    }

    fn count_vote(&mut self, me: usize, epoch: u64) {
        let quorum = self.servers[me].view.quorum();
        let timeout = self.auth_timeout();
        let Some(election) = self.servers[me].election.as_mut() else { return };
        if election.epoch != Some(epoch) || election.at.elapsed() > timeout {
            return;
        }
        election.votes += 1;
        if election.votes >= quorum {
            self.promote(me, epoch);
        }
    }

    /// The winner takes its primary's slots under the new epoch and says so to all that it can reach.
    pub(super) fn promote(&mut self, me: usize, epoch: u64) {
        let Some(master) = self.servers[me].master() else { return };
        self.tally.promotions += 1;
        self.trace.tell(format!("redis-{} takes the slots of redis-{}, epoch {epoch}", me + 1, master + 1));
        let units: Vec<_> = self.servers[me].view.owned_by(master).collect();
        let replication_id = self.chance.draw();
        let server = &mut self.servers[me];
        server.election = None;
        server.link = MasterLink::never();
        server.replication_id = replication_id;
        server.view.peers[me].role = Role::Primary;
        server.view.peers[me].config_epoch = epoch;
        server.role_changed.notify_waiters();
        for unit in units {
            self.give_unit(me, unit, me);
        }
        let header = self.header_of(me);
        for other in 0..self.servers.len() {
            if other != me && self.in_touch(me, other) {
                self.learn(other, &header);
            }
        }
    }
}

impl Redis {
    /// Ask all for votes when an election is due; each request travels, waits while its voter is paused, and may be
    /// lost. Returns at once; the votes come back by themselves.
    pub(super) fn ask_for_votes(&self, me: usize) {
        let Some((epoch, master)) = self.with(|state| state.stand(me)) else { return };
        let (count, spoiled) = self.with(|state| {
            let spoiled = state.tally.voteless.contains(&me);
            state.tally.failed_elections += u64::from(spoiled);
            (state.servers.len(), spoiled)
        });
        for voter in (0..count).filter(|voter| *voter != me && !spoiled) {
            let redis = self.clone();
            self.spawn(me, async move { redis.ask_one(me, voter, epoch, master).await });
        }
    }

    /// A few milliseconds there and back: chosen, so that requests of two candidates can cross.
    async fn ask_one(&self, me: usize, voter: usize, epoch: u64, master: usize) {
        let delays = self.with(|state| [state.chance.between(1, 4), state.chance.between(1, 4)]);
        sleep(Duration::from_millis(delays[0])).await;
        let reachable = |state: &mut State| state.bus_open(me, voter);
        if !self.with(reachable) || !self.running(voter).await {
            return;
        }
        let yes = self.with(|state| state.vote(voter, me, epoch, master));
        sleep(Duration::from_millis(delays[1])).await;
        if yes && self.with(reachable) && self.running(me).await {
            self.with(|state| state.count_vote(me, epoch));
        }
    }
}
