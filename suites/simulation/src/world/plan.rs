//! What one seed means, all of it a value: print it, change it, play it again.

use std::time::Duration;

use system_delivery::Fence;
use system_protocol::Room;

use super::fault::{Fault, Planned};
use super::manners::Manners;
use super::schedule::{Bounds, mixed};
use crate::chance::Chance;
use crate::model::{Settings, WaitRule};

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub redis: Settings,
    pub nodes: usize,
    pub clients: usize,
    pub rooms: usize,
    pub rooms_per_client: usize,
    /// Users chat for this long, milliseconds; then everything heals and drains.
    pub chat_ms: u64,
    pub manners: Manners,
    /// The users of this node only listen.
    pub silent_node: Option<usize>,
    pub fence: Fence,
    /// How often each chat node asks every server for the topology, milliseconds. Seldom is harder: what a node
    /// believes is older. It is also the dearest part of a world.
    pub topology_ms: u64,
    /// Switches of `system_delivery::Broken`, `no_sweep,…`; empty for the correct protocol.
    pub broken: String,
    /// How far back a room reaches, how often the log trims it at most, and how many entries it may hold. As they are set
    /// by default, no world lasts long enough for any of it.
    pub history_window: Duration,
    pub trim: Duration,
    pub room_length: u64,
    /// Most entries in one read, and most messages in one fence. As they are set by default, no world fills either.
    pub page: usize,
    pub batch: usize,
    /// Percent of chunks that the network delays, and by how many milliseconds at most.
    pub jitter: (u64, u64),
    pub faults: Vec<Planned>,
}

/// The room of that number.
pub fn room(nth: usize) -> Room {
    Room::parse(&format!("room{}", nth + 1)).expect("a valid name")
}

impl Plan {
    /// No faults yet. 3 × (1 + 2) servers, 2 nodes, 6 users.
    pub fn quiet(seed: u64) -> Plan {
        Plan {
            seed,
            redis: Settings::default(),
            nodes: 2,
            clients: 6,
            rooms: 4,
            rooms_per_client: 2,
            chat_ms: 26_000,
            manners: Manners::default(),
            silent_node: None,
            fence: Fence::Full,
            topology_ms: 400,
            broken: String::new(),
            history_window: Duration::from_mins(10),
            trim: Duration::from_mins(1),
            room_length: 1_000_000,
            page: 500,
            batch: 256,
            jitter: (40, 3),
            faults: Vec::new(),
        }
    }

    /// Everything that is promised to survive, mixed by chance.
    pub fn mixed(seed: u64) -> Plan {
        let mut plan = Plan::quiet(seed);
        let mut chance = Chance::new(seed).fork("plan");
        plan.jitter = (chance.between(0, 80), chance.between(1, 12));
        plan.nodes = if chance.percent(10) { 3 } else { 2 };
        plan.topology_ms = chance.between(200, 600);
        if chance.percent(20) {
            (plan.redis.wait_rule, plan.redis.version) = (WaitRule::EveryCommand, "7.0.15".to_owned());
        }
        plan.forgets(&mut Chance::new(seed).fork("forgets"));
        plan.is_small(&mut Chance::new(seed).fork("small"));
        // As Valkey 9.1 has it.
        plan.redis.demotion_unblocks = Chance::new(seed).fork("engine").percent(75);
        let bounds = Bounds {
            trims: chance.percent(20),
            shards: plan.redis.shards,
            replicas: plan.redis.replicas_per_shard,
            nodes: plan.nodes,
            clients: plan.clients,
            rooms: plan.rooms,
            from: 2000,
            until: plan.chat_ms - 1000,
        };
        plan.faults = mixed(&mut chance, &bounds);
        plan
    }

    /// In a fifth of the worlds the log itself trims and refuses; in a fifth a server that starts again is empty.
    fn forgets(&mut self, chance: &mut Chance) {
        if chance.percent(20) {
            self.trims_itself(chance.between(4000, 10_000));
        }
        self.redis.persisted = chance.percent(80);
    }

    /// In a quarter of the worlds a history has several pages, in a quarter what waits for a fence takes several batches.
    fn is_small(&mut self, chance: &mut Chance) {
        if chance.percent(25) {
            self.page = chance.between(2, 20) as usize;
        }
        if chance.percent(25) {
            self.batch = chance.between(1, 4) as usize;
        }
    }

    /// The log keeps so many milliseconds, and a room takes no more than is said in that time, about.
    pub fn trims_itself(&mut self, window_ms: u64) {
        (self.history_window, self.trim) = (Duration::from_millis(window_ms), Duration::from_millis(500));
        self.room_length = 10 + window_ms / 200;
        self.redis.stream_block = 10;
    }

    /// How far back the judge expects a room to reach. An operator trims whatever there is, and what was stored by a clock
    /// that is behind looks older by so much.
    pub fn promised_window(&self) -> Duration {
        let shorter = |planned: &Planned| match planned.fault {
            Fault::Trim { .. } => self.history_window,
            Fault::ClockBehind { ms, .. } => Duration::from_millis(ms.unsigned_abs()),
            _ => Duration::ZERO,
        };
        let shorter = self.faults.iter().map(shorter).max().unwrap_or_default();
        self.history_window.saturating_sub(shorter).max(Duration::from_millis(1))
    }
}
