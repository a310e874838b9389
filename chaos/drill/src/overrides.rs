//! What the command line changes in a drill before it is judged sound: the few settings worth varying by hand, and the
//! system under test.

use chaos_checkers::{Contract, Rule};
use chaos_cluster::{Deployment, Found};

use crate::{
    deployment::{self, Deployed},
    drill::{Backend, CONTRACTS, Delivery, Drill, Fence},
    mistake::Mistake,
    system::System,
};

/// Each `None` leaves the file's own value.
#[derive(Clone, Default)]
pub struct Overrides {
    pub seed: Option<u64>,
    pub engine: Option<String>,
    pub chat_nodes: Option<u8>,
    pub backend: Option<Backend>,
    pub fence: Option<Fence>,
    pub delivery: Option<Delivery>,
    /// It is asked for what it claims, unless `contract` says otherwise.
    pub system: Option<System>,
    pub contract: Option<Contract>,
    /// Where it runs already, as it was found.
    pub deployment: Option<(Deployment, Found)>,
}

impl Overrides {
    pub(crate) fn apply(&self, drill: &mut Drill) {
        set(&mut drill.system, self.system.clone());
        let (cluster, start) = (&mut drill.cluster, &drill.system.start);
        set(&mut drill.seed, self.seed);
        set(&mut cluster.redis.engine, self.engine.clone());
        set(&mut cluster.chat_nodes, self.chat_nodes);
        set(&mut cluster.backend, self.backend);
        // Where it means nothing it is told as an option, and no more as a setting.
        set(&mut cluster.fence, self.fence.filter(|_| start.tells("fence")));
        set(&mut cluster.delivery, self.delivery.filter(|_| start.tells("delivery")));
        let contract = self.contract.or(self.system.as_ref().map(|system| system.contract));
        if let Some(contract) = contract {
            drill.expect.contract = contract;
            let log = drill.has_log();
            let asked = |rule: &Rule| contract.promises(*rule) && (log || !rule.needs_offsets());
            drill.expect.exercises.retain(asked);
            drill.expect.fails.retain(asked);
        }
        if let Some((deployment, found)) = &self.deployment {
            deployment::place(drill, &Deployed::of(deployment.clone(), found), found);
        }
    }

    /// Settings that the system under test does not have.
    pub(crate) fn mistakes(&self, drill: &Drill) -> Vec<Mistake> {
        let given = [("fence", self.fence.is_some()), ("delivery", self.delivery.is_some())];
        let given = given.into_iter().filter(|(option, given)| *given && !drill.system.start.tells(option));
        let name = &drill.system.name;
        let there = [
            ("engine", self.engine.is_some()),
            ("nodes", self.chat_nodes.is_some()),
            ("backend", self.backend.is_some_and(|backend| backend != Backend::External)),
        ];
        let there = there.into_iter().filter(|(_, given)| *given && self.deployment.is_some());
        let run_already = |(option, _)| {
            let message = format!("`--{option}` is for servers that a run starts; those of a deployment run already");
            Mistake { place: None, message, nearest: None }
        };
        let told = |(option, _)| {
            let message = format!("`--{option}` is a setting of the reference system; {name} has no such thing");
            Mistake { place: None, message, nearest: None }
        };
        given.map(told).chain(there.map(run_already)).collect()
    }

    /// The settings that no longer stand in the file, as the dotted paths of the file.
    pub(crate) fn paths(&self) -> Vec<&'static str> {
        let given = [
            (self.seed.is_some(), "seed"),
            (self.engine.is_some(), "cluster.redis.engine"),
            (self.chat_nodes.is_some(), "cluster.chat_nodes"),
            (self.backend.is_some(), "cluster.backend"),
            (self.fence.is_some(), "cluster.fence"),
            (self.delivery.is_some(), "cluster.delivery"),
            (self.contract.is_some() || self.system.is_some(), "expect.contract"),
        ];
        let there = [
            "cluster.backend",
            "cluster.chat_nodes",
            "cluster.history_window",
            "cluster.redis.shards",
            "cluster.redis.replicas_per_shard",
            "cluster.redis.node_timeout",
            "cluster.redis.replication_delay",
            "cluster.redis.appendonly",
        ];
        let there = there.into_iter().filter(|_| self.deployment.is_some());
        given.into_iter().filter(|(given, _)| *given).map(|(_, path)| path).chain(there).collect()
    }

    /// As they were written on the command line, to be pasted again; the system is the caller's, who knows its file.
    pub fn as_arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut option = |name: &str, value: Option<String>| {
            arguments.extend(value.map(|value| format!("--{name} {value}")));
        };
        option("engine", self.engine.clone());
        option("nodes", self.chat_nodes.map(|nodes| nodes.to_string()));
        option("backend", self.backend.map(|backend| backend.to_string()));
        option("fence", self.fence.map(|fence| fence.to_string()));
        option("delivery", self.delivery.map(|delivery| delivery.to_string()));
        let contract = CONTRACTS.iter().find(|(_, contract)| Some(*contract) == self.contract);
        option("contract", contract.map(|(name, _)| (*name).to_owned()));
        arguments
    }
}

fn set<T>(value: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *value = given;
    }
}
