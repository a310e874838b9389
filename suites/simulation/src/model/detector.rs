//! The cluster's cron, every 100 ms on each server: who answers, who is suspected, who has failed, may I serve.
//!
//! Source: redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec ("Failure detection", "Heartbeat and
//! gossip messages"), Redis cluster_legacy.c (clusterCron, markNodeAsFailingIfNeeded, clusterUpdateState). Simplified:
//! a pair that can talk has talked at every tick, while a changed header travels in one tick of four, and a one-way cut
//! silences a bus link both ways (its TCP stands still soon after).

use tokio::time::{Duration, Instant};

use super::server::Process;
use super::state::State;
use super::view::Role;

/// Percent of ticks in which one end of a pair starts an exchange of headers. A ping goes to whom half a node timeout
/// lies since the last answer of, at 1 s every fifth tick, and each second to one of five more (clusterCron): a quarter. It
/// is what lets a primary that woke too late serve for some tenths of a second.
const NEWS_PERCENT: u64 = 25;

/// Percent of ticks in which a server that has all it needs to condemn another has heard of it. Who is suspected is in
/// every ping (clusterSendPing), so it comes with the next one, from either end: twice as often as above.
const REPORT_PERCENT: u64 = 50;

/// `CLUSTER_WRITABLE_DELAY`: a primary that just started serves nothing yet (clusterUpdateState).
const WRITABLE_DELAY: Duration = Duration::from_secs(2);

/// `CLUSTER_MIN_REJOIN_DELAY` and `CLUSTER_MAX_REJOIN_DELAY`, milliseconds: between them, a node timeout after a primary
/// has found its majority again it serves (clusterUpdateState).
const REJOIN_DELAY: (u64, u64) = (500, 5000);

impl State {
    /// One server's cron.
    pub fn tick(&mut self, me: usize) {
        if self.servers[me].process != Process::Running {
            return;
        }
        self.talk(me);
        self.suspect(me);
        self.condemn(me);
        self.update_state(me);
        self.ping_replicas(me);
        self.consider_election(me);
    }

    fn talk(&mut self, me: usize) {
        let now = Instant::now();
        for other in 0..self.servers.len() {
            if other == me || !self.in_touch(me, other) {
                continue;
            }
            self.hear(me, other, now);
            self.hear(other, me, now);
            if self.chance.percent(NEWS_PERCENT) {
                self.exchange(me, other);
            }
        }
    }

    fn hear(&mut self, me: usize, other: usize, now: Instant) {
        let offset = self.servers[other].offset;
        let timeout = self.settings.node_timeout;
        let view = &mut self.servers[me].view;
        let serves = view.peers[other].role == Role::Primary && view.owns_any(other);
        let peer = &mut view.peers[other];
        (peer.heard, peer.suspected, peer.offset) = (now, false, offset);
        // A failed primary that still owns slots is forgiven after twice the timeout only
        // (clearNodeFailureIfNeeded, CLUSTER_FAIL_UNDO_TIME_MULT).
        if peer.failed.is_some_and(|since| !serves || now - since > timeout * 2) {
            peer.failed = None;
        }
    }

    fn suspect(&mut self, me: usize) {
        let (now, timeout) = (Instant::now(), self.settings.node_timeout);
        for (index, peer) in self.servers[me].view.peers.iter_mut().enumerate() {
            if index != me && peer.failed.is_none() && now - peer.heard > timeout {
                peer.suspected = true;
            }
        }
    }

    /// Suspicion becomes failure when a majority of the voting primaries shares it; who finds out tells everybody.
    fn condemn(&mut self, me: usize) {
        for accused in 0..self.servers.len() {
            let view = &self.servers[me].view;
            if !view.peers[accused].suspected || view.peers[accused].failed.is_some() {
                continue;
            }
            let agrees = |voter: &usize| {
                let peer = &self.servers[*voter].view.peers[accused];
                (*voter == me || self.in_touch(me, *voter)) && (peer.suspected || peer.failed.is_some())
            };
            if view.voters().filter(agrees).count() >= view.quorum() && self.chance.percent(REPORT_PERCENT) {
                self.trace.tell(format!("redis-{} says that redis-{} has failed", me + 1, accused + 1));
                for server in 0..self.servers.len() {
                    if server != accused && (server == me || self.in_touch(me, server)) {
                        let peer = &mut self.servers[server].view.peers[accused];
                        peer.failed.get_or_insert_with(Instant::now);
                        peer.suspected = false;
                    }
                }
            }
        }
    }

    /// `cluster_state`: fail without a majority of primaries in reach, and for a while after it is back.
    fn update_state(&mut self, me: usize) {
        let server = &self.servers[me];
        if server.is_primary() && server.life > 0 && server.booted.elapsed() < WRITABLE_DELAY {
            return;
        }
        let reachable = |voter: &usize| {
            let peer = &server.view.peers[*voter];
            *voter == me || (!peer.suspected && peer.failed.is_none())
        };
        let majority = server.view.voters().filter(reachable).count() >= server.view.quorum();
        let (least, most) = REJOIN_DELAY;
        let rejoin = self.settings.node_timeout.clamp(Duration::from_millis(least), Duration::from_millis(most));
        let delay = if server.is_primary() && server.minority_since.is_some() { rejoin } else { Duration::ZERO };
        let server = &mut self.servers[me];
        if !majority {
            server.minority_since = Some(Instant::now());
            server.state_ok = false;
        } else if !server.state_ok && server.minority_since.is_none_or(|since| since.elapsed() >= delay) {
            server.state_ok = true;
        }
    }
}
