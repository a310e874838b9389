//! All servers of one modelled cluster, behind one lock: a seed is one thread, so the lock is never waited for.

use bytes::Bytes;
use tokio::time::{Duration, Instant};

use super::election::Tally;
use super::replication::MasterLink;
use super::server::{Process, Server, WaitRule};
use super::slot::slot_of;
use super::store::Store;
use super::view::{Peer, Role, Unit, View, units};
use crate::chance::Chance;
use crate::network::{Host, Net};
use crate::trace::Trace;

/// What a modelled cluster is made of. Settings as drills give them to real servers: chaos/cluster/src/redis_conf.rs,
/// with the node timeout of docs/drills.md, "A drill file".
#[derive(Debug, Clone)]
pub struct Settings {
    pub shards: usize,
    pub replicas_per_shard: usize,
    pub node_timeout: Duration,
    /// `cluster-replica-validity-factor`.
    pub validity_factor: u32,
    /// `repl-ping-replica-period`.
    pub repl_ping: Duration,
    /// `cluster-allow-reads-when-down`: without a majority a server still answers reads.
    pub reads_when_down: bool,
    /// Append-only file: what was applied is there again after a restart.
    pub persisted: bool,
    pub wait_rule: WaitRule,
    /// A client that waits is answered `-UNBLOCKED` and cut off when its primary becomes a replica. Measured, as the wait
    /// rule: on Redis 7.0 and 8.2 and Valkey 8.1. On Valkey 9.1 it waits on, for what nobody acknowledges.
    pub demotion_unblocks: bool,
    /// As `INFO server` says it.
    pub version: String,
    /// `stream-node-max-entries`, by default 100: how many entries a trim with `~` takes at a time.
    pub stream_block: usize,
    /// Slots that a scenario will migrate: units of their own.
    pub single_slots: Vec<u16>,
    /// Unix milliseconds when the world begins.
    pub epoch_ms: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            shards: 3,
            replicas_per_shard: 2,
            node_timeout: Duration::from_secs(1),
            validity_factor: 10,
            repl_ping: Duration::from_secs(1),
            reads_when_down: false,
            persisted: true,
            wait_rule: WaitRule::PropagatingOnly,
            demotion_unblocks: true,
            version: "7.4.1".to_owned(),
            stream_block: 100,
            single_slots: Vec::new(),
            epoch_ms: 1_800_000_000_000,
        }
    }
}

impl Settings {
    /// A link that is silent for longer is given up by both ends: what real clusters here are configured with.
    pub fn repl_timeout(&self) -> Duration {
        chaos_cluster::repl_timeout(self.node_timeout)
    }
}

/// Another server has the slots of one, since so many milliseconds of the world.
#[derive(Debug, Clone, Copy)]
pub struct Replacement {
    pub server: usize,
    pub since: u64,
}

pub struct State {
    pub settings: Settings,
    pub servers: Vec<Server>,
    pub units: Vec<Unit>,
    pub net: Net,
    pub trace: Trace,
    pub chance: Chance,
    pub next_client: u64,
    pub tally: Tally,
    /// When each unit last went to another, milliseconds of the world.
    pub taken: Vec<u64>,
    /// Pairs whose bus alone is cut; clients and replication between them go on.
    pub bus_cut: std::collections::BTreeSet<(usize, usize)>,
}

impl State {
    /// A formed cluster: server `i` begins as primary of shard `i`, the replicas of shard 0 follow, then of shard 1.
    pub fn formed(settings: Settings, first_host: u16, net: Net, trace: Trace, mut chance: Chance) -> State {
        let count = settings.shards * (1 + settings.replicas_per_shard);
        let (units, owner): (Vec<_>, Vec<_>) = units(settings.shards, &settings.single_slots).into_iter().unzip();
        let role = |index: usize| match index.checked_sub(settings.shards) {
            None => Role::Primary,
            Some(replica) => Role::ReplicaOf(replica / settings.replicas_per_shard),
        };
        let peer = |index: usize| Peer {
            role: role(index),
            config_epoch: match role(index) {
                Role::Primary => index as u64 + 1,
                Role::ReplicaOf(master) => master as u64 + 1,
            },
            heard: Instant::now(),
            suspected: false,
            failed: None,
            offset: 0,
        };
        let view = View { current_epoch: settings.shards as u64, peers: (0..count).map(peer).collect(), owner };
        let server = |index: usize| {
            let id = format!("{:016x}{:016x}{:08x}", chance.draw(), chance.draw(), index);
            blank(index, Host(first_host + index as u16), id, view.clone(), chance.draw())
        };
        let servers = (0..count).map(server).collect();
        let taken = vec![0; units.len()];
        State {
            settings,
            servers,
            units,
            net,
            trace,
            chance,
            next_client: 0,
            tally: Tally::default(),
            taken,
            bus_cut: std::collections::BTreeSet::new(),
        }
    }

    pub fn world_ms(&self) -> u64 {
        self.settings.epoch_ms + self.trace.now_ms()
    }

    pub fn unit_of(&self, slot: u16) -> usize {
        self.units.partition_point(|unit| unit.last < slot)
    }

    pub fn keys_of_unit(&self, server: usize, unit: usize) -> Vec<Bytes> {
        let slots = self.units[unit];
        self.servers[server].store.names().filter(|key| slots.holds(slot_of(key))).cloned().collect()
    }

    pub fn replicas_of(&self, primary: usize) -> Vec<usize> {
        (0..self.servers.len()).filter(|index| self.servers[*index].master() == Some(primary)).collect()
    }

    /// The owner of a unit as its highest claimant says: what an observer outside would call the truth.
    pub fn owner_of(&self, unit: usize) -> usize {
        let claims = self.servers.iter().filter(|server| server.view.owner[unit] == server.index);
        let best = claims.max_by_key(|server| server.view.peers[server.index].config_epoch);
        best.map_or(0, |server| server.index)
    }

    /// Who has taken slots that it still serves.
    pub fn replacement_of(&self, server: usize) -> Option<Replacement> {
        let mut units = self.servers[server].view.owned_by(server);
        let unit = units.find(|unit| self.owner_of(*unit) != server)?;
        Some(Replacement { server: self.owner_of(unit), since: self.taken[unit] })
    }

    /// The bus between two servers works: both processes run, both directions are open.
    pub fn in_touch(&self, a: usize, b: usize) -> bool {
        self.servers[a].running() && self.servers[b].running() && self.bus_open(a, b)
    }

    /// Nothing that is cut lies between two servers' buses; a paused process will find what came.
    pub fn bus_open(&self, a: usize, b: usize) -> bool {
        let cut = self.bus_cut.contains(&(a, b)) || self.bus_cut.contains(&(b, a));
        !cut && self.net.open(self.servers[a].host, self.servers[b].host)
    }
}

fn blank(index: usize, host: Host, id: String, view: View, replication_id: u64) -> Server {
    let (ip, port) = (format!("10.0.0.{}", index + 1), 7001 + index as u16);
    Server {
        index,
        host,
        announced: format!("{id} {ip}:{port}@{}", port + 10_000),
        id,
        ip,
        port,
        process: Process::Running,
        life: 0,
        booted: Instant::now(),
        store: Store::default(),
        offset: 0,
        replication_id,
        replicas: std::collections::BTreeMap::new(),
        link: MasterLink::never(),
        view,
        skew_ms: 0,
        clients: std::collections::BTreeMap::new(),
        demotions: 0,
        acked: std::sync::Arc::default(),
        woken: std::sync::Arc::default(),
        role_changed: std::sync::Arc::default(),
        migrating: std::collections::BTreeMap::new(),
        importing: std::collections::BTreeMap::new(),
        last_vote_epoch: 0,
        voted: std::collections::BTreeMap::new(),
        election: None,
        state_ok: true,
        minority_since: None,
        writes: 0,
    }
}
