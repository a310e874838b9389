//! A drill as a value: what `load.rs` makes of a file, what the command line may change, and what `run.rs` does.
//!
//! Everything has a value here; nothing is "default" any more. It is stored in the plan, so a run directory says all
//! that is needed to run it again.

use std::ffi::OsStr;

use chaos_checkers::{Contract, Rule};
use chaos_cluster::EngineChoice;
use chaos_faults::Inject;
use chaos_observe::Length;
use chaos_workload::FanOut;
use serde::{Deserialize, Serialize};

use crate::{deployment::Deployed, system::System};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// The file's stem, or the name of a shipped drill.
    pub name: String,
    /// One sentence: what is shown.
    pub title: String,
    /// Why it is worth showing.
    pub why: String,
    /// Decides every choice of the run that is not the operating system's.
    pub seed: u64,
    /// The run is aborted when it lasts longer, whatever it is doing.
    pub longest: Length,
    /// The load must have run this long, in a steady state, before the first fault.
    pub steady: Length,
    /// The load goes on this long after the last heal, so that what recovers late is seen.
    pub settle: Length,
    /// What is drilled; the file does not say, the command line may.
    #[serde(default = "System::reference")]
    pub system: System,
    /// Where it runs already, for the backend `external`; the command line says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployed>,
    pub cluster: Cluster,
    pub workload: FanOut,
    pub expect: Expect,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    pub backend: Backend,
    pub chat_nodes: u8,
    pub delivery: Delivery,
    pub fence: Fence,
    /// How long a node holds what was sent; at least twice the longest duration, or the final read proves nothing.
    pub history_window: Length,
    pub ping_interval: Length,
    pub ping_timeout: Length,
    pub redis: Redis,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    pub shards: u8,
    pub replicas_per_shard: u8,
    pub node_timeout: Length,
    /// Delay on the replication links out of the busiest primary, from the end of the steady state; zero is none.
    pub replication_delay: Length,
    pub appendonly: bool,
    /// `any`, `>=7.2`, `redis-7.0`, `redis-7.2`, `redis-8.2`, `valkey-8.1` or `valkey-9.1`.
    pub engine: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub when: When,
    pub inject: Inject,
    /// From the moment the fault is on; the heal itself may wait (a killed Redis node is started again only when a
    /// survivor names another primary).
    pub heal_after: Length,
}

/// What a step waits for. Steps run in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// Since the load began.
    At(Length),
    /// The next event of that kind after the step before it was injected, and then a while more.
    On { event: Event, then: Length },
    /// So many acks in all since the load began.
    AfterAcks(u64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub contract: Contract,
    /// Rules that the run must exercise, or its verdict is `unknown`.
    pub exercises: Vec<Rule>,
    /// Rules that must fail; empty: the drill must pass. It only says so: the exit code stays 1 without `--expect`.
    pub fails: Vec<Rule>,
    /// Kill to promotion; `None` derives it from the engine's formula.
    pub promote_within: Option<Length>,
    /// Promotion to the first ack of that shard.
    pub acks_within: Option<Length>,
    /// Heal to the arrival of a canary from every node in every room.
    pub converge_within: Length,
}

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            pub const NAMES: &'static [(&'static str, $name)] = &[$(($text, $name::$variant)),+];

            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named! {
    /// What a step may wait for.
    Event {
        /// Some node reports a higher `cluster_current_epoch`.
        EpochChange = "epoch_change",
        /// A survivor names another primary for the slots of a killed one.
        Promotion = "promotion",
        /// The fault of an earlier step was healed.
        Healed = "healed",
    }
}

named! {
    /// Where the system under test runs.
    Backend {
        /// Of this machine.
        Processes = "processes",
        /// Of a Docker engine on this machine.
        Containers = "containers",
        /// Wherever it runs already.
        External = "external",
    }
}

named! {
    /// How a chat node delivers.
    Delivery {
        /// The replicated log.
        Log = "log",
        /// Plain Socket.IO Redis adapter behaviour, which is what most deployments run.
        Pubsub = "pubsub",
    }
}

named! {
    /// What stands between the append and the ack.
    Fence {
        /// A write and WAIT over every replica that could be elected.
        Full = "full",
        /// Nothing: a weak setting, kept to show what it loses.
        None = "none",
    }
}

/// As a drill file names them.
pub const CONTRACTS: &[(&str, Contract)] =
    &[("acked_is_durable", Contract::AckedIsDurable), ("at_most_once", Contract::AtMostOnce)];

pub(crate) fn contract_name(contract: Contract) -> &'static str {
    CONTRACTS.iter().find(|(_, named)| *named == contract).map_or("", |(name, _)| name)
}

impl Drill {
    /// Messages expected in flight on the replication link of one shard: what a killed primary takes with it when
    /// nothing waits for its replicas.
    pub fn in_flight(&self) -> f64 {
        let redis = &self.cluster.redis;
        f64::from(self.workload.sends_per_second) / f64::from(redis.shards) * redis.replication_delay.as_secs()
    }

    /// As the drill file names it.
    pub fn contract(&self) -> &'static str {
        contract_name(self.expect.contract)
    }

    /// The loader has checked that it is one.
    pub fn engine(&self) -> EngineChoice {
        self.cluster.redis.engine.parse().unwrap_or_default()
    }

    /// Whether the system gives offsets and holds history, so that rooms have a place in Redis.
    pub fn has_log(&self) -> bool {
        // One that is not told how to deliver has a log when it promises what needs one.
        let told = self.deployment.is_some() || self.system.start.tells("delivery");
        let may = told || self.system.contract == Contract::AckedIsDurable;
        self.system.dialect.is_none() && self.cluster.delivery == Delivery::Log && may
    }

    /// Why no node of it can be started, when that is seen before anything is: programs are looked for in `path`, as
    /// `$PATH` is written. In containers an image is run.
    pub fn missing_program(&self, path: &OsStr) -> Option<String> {
        (self.cluster.backend == Backend::Processes).then(|| self.system.missing_program(path))?
    }

    pub fn must_fail(&self) -> bool {
        !self.expect.fails.is_empty()
    }
}
