//! Carrying a fault out, and healing it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use system_protocol::Room;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::fault::{Fault, Planned, Way, death};
use super::node::Node;
use super::record::Ledger;
use crate::model::{Process, Redis};
use crate::network::{Death, Host, Net};
use crate::sim::Sim;

/// What faults reach for.
#[derive(Clone)]
pub struct Stage {
    pub sim: Sim,
    pub redis: Redis,
    pub nodes: Vec<Node>,
    /// Where each user is.
    pub clients: Vec<Host>,
    pub rooms: Arc<Vec<Room>>,
    pub ledger: Ledger,
    /// How often each kind of fault found its target.
    pub happened: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

/// How long a killed primary waits to be named replaced before an operator decides: chosen, longer than failovers of the
/// mix take, unless elections fail until no replica may stand any more (the validity factor).
const GIVEN_UP: Duration = Duration::from_secs(20);

impl Stage {
    fn net(&self) -> &Net {
        &self.sim.net
    }

    fn host(&self, server: usize) -> Host {
        self.redis.host_of(server)
    }

    fn others(&self, than: &[usize]) -> Vec<usize> {
        (0..self.redis.count()).filter(|server| !than.contains(server)).collect()
    }

    fn replica(&self, shard: usize, nth: usize) -> Option<usize> {
        let replicas = self.redis.replicas_of(self.redis.primary_of_shard(shard));
        (!replicas.is_empty()).then(|| replicas[nth % replicas.len()])
    }

    /// Wait for the moment, find the target, do it, wait for the window's end, heal.
    pub async fn carry_out(&self, planned: Planned) {
        let began = self.sim.trace.start();
        sleep_until(began + Duration::from_millis(planned.at)).await;
        let window = Duration::from_millis(planned.lasts);
        self.sim.trace.tell(format!("fault: {planned}"));
        match planned.fault {
            Fault::CrashNode { node, machine } => {
                self.happens(&planned.fault, self.nodes[node].alive());
                self.nodes[node].crash(death(machine));
                sleep(window).await;
                self.nodes[node].restart();
            }
            Fault::IsolateNode { node, but } => {
                let reached: Vec<_> = but.map(|shard| self.redis.primary_of_shard(shard)).into_iter().collect();
                let servers = self.others(&reached).into_iter();
                let links: Vec<_> = servers.map(|server| (self.nodes[node].host, self.host(server))).collect();
                self.happens(&planned.fault, true);
                self.cut(&links, Way::Both, window).await;
            }
            Fault::CutServers { one, other, way } => {
                self.happens(&planned.fault, self.redis.in_touch(one, other));
                self.cut(&[(self.host(one), self.host(other))], way, window).await;
            }
            Fault::SpoilElections { shard, nth } => {
                let spoiled = self.spoil_elections(shard, nth, window).await;
                self.happens(&planned.fault, spoiled);
            }
            Fault::Trim { room } => {
                let trimmed = self.redis.trim(&stream_of(&self.rooms[room]));
                self.happens(&planned.fault, trimmed > 0);
            }
            Fault::CutClient { client, way } => {
                self.happens(&planned.fault, true);
                self.cut(&self.links_of_client(client), way, window).await;
            }
            Fault::ResetClient { client } => {
                self.happens(&planned.fault, true);
                self.links_of_client(client).iter().for_each(|(user, node)| self.net().reset(*user, *node));
            }
            fault => {
                let Some(server) = self.target(&fault) else { return };
                if let Some(other) = self.missed_beside(&fault) {
                    self.sim
                        .trace
                        .tell(format!("passed over: redis-{} of another shard is not replaced yet", other + 1));
                    return;
                }
                self.happens(&fault, self.redis.process(server) == Process::Running);
                self.befall(server, fault, window).await;
            }
        }
    }

    /// The primary of another shard that is gone or hangs, if this fault were to cost a shard its own: elections that failed
    /// by chance can take longer than a schedule foresees, and two shards without a primary are not promised to lose
    /// nothing.
    fn missed_beside(&self, fault: &Fault) -> Option<usize> {
        let shard = fault.costs_primary()?;
        let others = (0..self.redis.shards()).filter(|other| *other != shard);
        let mut primaries = others.map(|other| self.redis.primary_of_shard(other));
        primaries.find(|primary| self.redis.process(*primary) != Process::Running)
    }

    /// Counted once its target is there to feel it; an election that is to fail and a trim once something came of it.
    fn happens(&self, fault: &Fault, it_did: bool) {
        let mut happened = self.happened.lock().expect("no panic while counting");
        *happened.entry(fault.kind()).or_default() += u64::from(it_did);
    }

    /// Whom a fault hits, as things are now: the replica of that number, or the primary.
    fn target(&self, fault: &Fault) -> Option<usize> {
        match fault {
            Fault::KillReplica { shard, nth, .. }
            | Fault::PauseReplica { shard, nth }
            | Fault::CutReplica { shard, nth, .. }
            | Fault::CutReplicaBus { shard, nth }
            | Fault::CutBus { shard, nth }
            | Fault::Detach { shard, nth }
            | Fault::ClockBehind { shard, nth, .. } => self.replica(*shard, *nth),
            Fault::KillPrimary { shard, .. }
            | Fault::FastRestart { shard }
            | Fault::PausePrimary { shard }
            | Fault::CutOffPrimary { shard, .. }
            | Fault::StallThenKill { shard }
            | Fault::Lag { shard, .. }
            | Fault::LagThenKill { shard, .. }
            | Fault::CutPrimaryBus { shard }
            | Fault::CutNode { shard, .. }
            | Fault::ResetNode { shard, .. } => Some(self.redis.primary_of_shard(*shard)),
            Fault::Migrate { room, .. } => Some(self.redis.primary_of_slot(slot_of_room(&self.rooms[*room]))),
            Fault::CrashNode { .. }
            | Fault::IsolateNode { .. }
            | Fault::CutServers { .. }
            | Fault::SpoilElections { .. }
            | Fault::Trim { .. }
            | Fault::CutClient { .. }
            | Fault::ResetClient { .. } => None,
        }
    }

    async fn befall(&self, server: usize, fault: Fault, window: Duration) {
        match fault {
            Fault::KillPrimary { machine, .. } | Fault::KillReplica { machine, .. } => {
                self.kill(server, death(machine), window).await;
            }
            Fault::FastRestart { .. } => {
                self.redis.kill(server, Death::Process);
                sleep(window).await;
                self.redis.restart(server);
            }
            Fault::PausePrimary { .. } | Fault::PauseReplica { .. } => self.pause(server, window).await,
            Fault::CutPrimaryBus { .. } | Fault::CutReplicaBus { .. } => {
                self.cut_bus(server, &self.others(&[server]), window).await;
            }
            Fault::CutBus { shard, .. } => {
                let primary = self.redis.primary_of_shard(shard);
                self.cut_bus(primary, &[server], window).await;
            }
            Fault::CutOffPrimary { with, way, reset, .. } => self.cut_off(server, with, way, reset, window).await,
            Fault::CutReplica { shard, way, .. } => {
                let primary = self.redis.primary_of_shard(shard);
                self.cut(&[(self.host(server), self.host(primary))], way, window).await;
            }
            Fault::StallThenKill { .. } => self.stall_then_kill(server, window).await,
            Fault::Lag { ms, .. } => self.lag(server, ms, window).await,
            Fault::LagThenKill { ms, .. } => {
                // The lag ends after the death: what it holds is lost.
                let links = self.set_lag(server, ms);
                sleep(window).await;
                self.redis.kill(server, Death::Process);
                self.end_lag(&links);
                self.restart(server, Duration::from_millis(500)).await;
            }
            Fault::Detach { .. } => self.redis.detach(server),
            Fault::CutNode { node, way, .. } => {
                self.cut(&[(self.nodes[node].host, self.host(server))], way, window).await;
            }
            Fault::ResetNode { node, .. } => self.net().reset(self.nodes[node].host, self.host(server)),
            Fault::ClockBehind { ms, .. } => self.redis.skew(server, ms),
            Fault::Migrate { room, pace_ms } => self.migrate(room, pace_ms).await,
            Fault::CrashNode { .. }
            | Fault::IsolateNode { .. }
            | Fault::CutServers { .. }
            | Fault::SpoilElections { .. }
            | Fault::Trim { .. }
            | Fault::CutClient { .. }
            | Fault::ResetClient { .. } => {}
        }
    }

    /// True when there was an election to spoil.
    async fn spoil_elections(&self, shard: usize, nth: Option<usize>, window: Duration) -> bool {
        let replicas = match nth {
            Some(nth) => self.replica(shard, nth).into_iter().collect(),
            None => self.redis.replicas_of(self.redis.primary_of_shard(shard)),
        };
        let before = self.redis.failed_elections();
        for replica in &replicas {
            self.redis.set_voteless(*replica, true);
        }
        sleep(window).await;
        for replica in &replicas {
            self.redis.set_voteless(*replica, false);
        }
        self.redis.failed_elections() > before
    }

    fn links_of_client(&self, client: usize) -> Vec<(Host, Host)> {
        self.nodes.iter().map(|node| (self.clients[client], node.host)).collect()
    }

    async fn stall_then_kill(&self, primary: usize, window: Duration) {
        let links = self.links_out(primary);
        self.set_cut(&links, Way::Out, true);
        sleep(window).await;
        self.redis.kill(primary, Death::Process);
        self.set_cut(&links, Way::Out, false);
        self.restart(primary, Duration::from_millis(500)).await;
    }

    async fn kill(&self, server: usize, death: Death, window: Duration) {
        self.redis.kill(server, death);
        self.restart(server, window).await;
    }

    /// Only when a survivor names another primary for its slots.
    async fn restart(&self, server: usize, after: Duration) {
        sleep(after).await;
        let began = Instant::now();
        while !self.redis.replaced(server) && began.elapsed() < GIVEN_UP {
            sleep(Duration::from_millis(50)).await;
        }
        self.redis.take_over_from(server);
        self.redis.restart(server);
    }

    async fn pause(&self, server: usize, window: Duration) {
        self.redis.pause(server);
        sleep(window).await;
        self.redis.wake(server);
    }

    /// From a primary to its replicas.
    fn links_out(&self, primary: usize) -> Vec<(Host, Host)> {
        let replicas = self.redis.replicas_of(primary).into_iter();
        replicas.map(|replica| (self.host(primary), self.host(replica))).collect()
    }

    fn set_cut(&self, links: &[(Host, Host)], way: Way, cut: bool) {
        for (from, to) in links {
            if way != Way::In {
                self.net().set_cut(*from, *to, cut);
            }
            if way != Way::Out {
                self.net().set_cut(*to, *from, cut);
            }
        }
    }

    async fn cut(&self, links: &[(Host, Host)], way: Way, window: Duration) {
        self.set_cut(links, way, true);
        sleep(window).await;
        self.set_cut(links, way, false);
    }

    async fn lag(&self, primary: usize, ms: u64, window: Duration) {
        let links = self.set_lag(primary, ms);
        sleep(window).await;
        self.end_lag(&links);
    }

    fn set_lag(&self, primary: usize, ms: u64) -> Vec<(Host, Host)> {
        let links = self.links_out(primary);
        for (from, to) in &links {
            self.net().set_lag(*from, *to, Duration::from_millis(ms));
        }
        links
    }

    fn end_lag(&self, links: &[(Host, Host)]) {
        for (from, to) in links {
            self.net().set_lag(*from, *to, Duration::ZERO);
        }
    }

    async fn cut_off(&self, primary: usize, with: usize, way: Way, reset: bool, window: Duration) {
        let mut side = vec![primary];
        side.extend(self.redis.replicas_of(primary).into_iter().take(with));
        let links: Vec<_> = side
            .iter()
            .flat_map(|here| self.others(&side).into_iter().map(|there| (self.host(*here), self.host(there))))
            .collect();
        if reset {
            for (here, there) in &links {
                self.net().reset(*here, *there);
            }
        }
        self.cut(&links, way, window).await;
    }

    async fn cut_bus(&self, server: usize, from: &[usize], window: Duration) {
        for other in from {
            self.redis.cut_bus(server, *other, true);
        }
        sleep(window).await;
        for other in from {
            self.redis.cut_bus(server, *other, false);
        }
    }

    async fn migrate(&self, room: usize, pace_ms: u64) {
        let slot = slot_of_room(&self.rooms[room]);
        let source = self.redis.primary_of_slot(slot);
        let shards = self.redis.shards();
        let target = (0..shards).map(|shard| self.redis.primary_of_shard(shard)).find(|primary| *primary > source);
        let target = target.unwrap_or_else(|| self.redis.primary_of_shard(0));
        self.redis.migrate(slot, target, Duration::from_millis(pace_ms)).await;
    }

    /// Everything as it should be, whatever faults were cut short.
    pub fn heal(&self) {
        self.sim.trace.tell("everything is healed");
        let servers = self.others(&[]);
        let mut hosts: Vec<_> = servers.iter().map(|server| self.host(*server)).collect();
        hosts.extend(self.nodes.iter().map(|node| node.host));
        hosts.extend(&self.clients);
        for from in &hosts {
            for to in &hosts {
                if self.net().is_cut(*from, *to) {
                    self.net().set_cut(*from, *to, false);
                }
                self.net().set_lag(*from, *to, Duration::ZERO);
            }
        }
        for a in &servers {
            for b in &servers {
                self.redis.cut_bus(*a, *b, false);
            }
            self.redis.wake(*a);
            self.redis.set_voteless(*a, false);
        }
        self.nodes.iter().for_each(Node::restart);
    }

    /// After healing: the dead come back once they are replaced.
    pub async fn revive(&self) {
        let began = Instant::now();
        while !self.redis.settled() && began.elapsed() < Duration::from_mins(1) {
            self.redis.finish_migrations();
            for server in self.others(&[]) {
                if self.redis.process(server) != Process::Dead {
                    continue;
                }
                if began.elapsed() > GIVEN_UP {
                    self.redis.take_over_from(server);
                    self.redis.restart(server);
                } else if self.redis.replaced(server) {
                    self.redis.restart(server);
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

pub fn slot_of_room(room: &Room) -> u16 {
    system_delivery::slot_of_partition(system_delivery::partition_of(room))
}

/// The stream's key, as `system/delivery/src/names.rs` makes it (`stream`).
pub fn stream_of(room: &Room) -> String {
    format!("{{p{}}}r:{room}", system_delivery::partition_of(room))
}
