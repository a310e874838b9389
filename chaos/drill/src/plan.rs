//! What will be done, before anything is: seed, engine, blast radius, contract, budgets with their formulas, time.
//!
//! Printed, stored as `plan.toml` in the run directory, and all that `chaos judge` needs beside the record. A dry run
//! stops here. Deliberately absent: which node will be killed; a role is resolved when its time comes, and
//! `schedule.toml` says who it was.

use std::fmt::{self, Write as _};

use chaos_cluster::{Budget as Promotion, Engine};
use chaos_observe::Length;
use serde::{Deserialize, Serialize};

use crate::{
    drill::{Backend, Drill, Fence, When},
    inject::Foreseen as _,
};

/// What a boot takes at most on a small machine: a fixed 2 s writable delay of each Redis, forming, nodes, users.
const BOOT: Length = Length::millis(5_000);
/// Level clients, a final read of every room and the judging.
const FINISH: Length = Length::millis(5_000);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Of the program that planned it.
    pub version: String,
    /// The command that runs this plan again.
    pub command: String,
    pub estimate: Length,
    pub blast_radius: Vec<String>,
    /// Absent in a dry run on a machine where the engine is still to be fetched.
    pub engine: Option<EngineSeen>,
    pub budgets: Vec<Budget>,
    pub drill: Drill,
}

/// The server that the cluster runs on, by what it says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineSeen {
    pub kind: String,
    pub version: String,
    pub program: String,
}

/// A time that something may take, and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    pub name: BudgetName,
    /// Faster than this is a finding too: the formula, or the measurement, is wrong.
    pub earliest: Length,
    pub latest: Length,
    pub formula: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetName {
    Promote,
    Acks,
    Converge,
}

impl fmt::Display for BudgetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            BudgetName::Promote => "promote",
            BudgetName::Acks => "acks back",
            BudgetName::Converge => "converge",
        })
    }
}

impl Plan {
    /// `engine` is `None` where none is here yet (in a dry run none is fetched).
    pub fn of(drill: Drill, engine: Option<&Engine>, command: String) -> Plan {
        let redis = &drill.cluster.redis;
        let promotion =
            engine.map(|engine| engine.promotion_budget(redis.node_timeout.get(), redis.replicas_per_shard));
        let engine = engine.map(|engine| EngineSeen {
            kind: engine.kind.to_string(),
            version: engine.version.to_string(),
            program: engine.program.display().to_string(),
        });
        Plan {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command,
            estimate: estimate(&drill),
            blast_radius: blast_radius(&drill),
            engine,
            budgets: budgets(&drill, promotion),
            drill,
        }
    }

    pub fn budget(&self, name: BudgetName) -> Option<&Budget> {
        self.budgets.iter().find(|budget| budget.name == name)
    }
}

/// How long a drill takes from boot to verdict, by its steps.
pub(crate) fn estimate(drill: &Drill) -> Length {
    Length::from(BOOT.get() + faults_take(drill).get() + drill.settle.get() + FINISH.get())
}

/// From the beginning of the load to the last heal; events are taken as late as they may come.
pub(crate) fn faults_take(drill: &Drill) -> Length {
    let mut latest = drill.steady.get();
    let mut reached = drill.steady.get();
    for step in &drill.steps {
        reached = match step.when {
            When::At(at) => at.get(),
            When::On { then, .. } => reached + drill.cluster.redis.node_timeout.get() * 3 + then.get(),
            When::AfterAcks(acks) => {
                let seconds = acks as f64 / f64::from(drill.workload.sends_per_second.max(1));
                reached.max(Length::millis((seconds * 1e3) as u64).get())
            }
        };
        latest = latest.max(reached + step.inject.lasts(drill) + step.heal_after.get());
    }
    Length::from(latest)
}

fn blast_radius(drill: &Drill) -> Vec<String> {
    let faults = drill.steps.iter().map(|step| step.inject.blast_radius());
    if let Some(deployed) = &drill.deployment {
        let first =
            format!("{}, which was running before and stays: {}", deployed.deployment.name, deployed.deployment.radius);
        return [first].into_iter().chain(faults).collect();
    }
    let redis = &drill.cluster.redis;
    let servers = u32::from(redis.shards) * (1 + u32::from(redis.replicas_per_shard));
    let (what, place) = match drill.cluster.backend {
        Backend::Containers => ("containers", "on a private network"),
        Backend::Processes | Backend::External => ("processes", "on 127.0.0.0/8"),
    };
    let chat = drill.cluster.chat_nodes;
    let mut radius = vec![format!(
        "{servers} Redis and {chat} chat {what} that this run starts, {place}; nothing else on this machine"
    )];
    radius.extend(faults);
    radius
}

fn budgets(drill: &Drill, promotion: Option<Promotion>) -> Vec<Budget> {
    let mut budgets = Vec::new();
    let said = |name, latest| {
        let formula = "as the drill file says".to_owned();
        Budget { name, earliest: Length::default(), latest, formula }
    };
    if drill.steps.iter().any(|step| step.inject.takes_a_primary()) {
        let derived = promotion.map(|promotion| Budget {
            name: BudgetName::Promote,
            earliest: promotion.earliest.into(),
            latest: promotion.latest.into(),
            formula: promotion.formula,
        });
        let given = drill.expect.promote_within.map(|latest| said(BudgetName::Promote, latest));
        budgets.extend(given.or(derived));
    }
    budgets.extend(drill.expect.acks_within.map(|latest| said(BudgetName::Acks, latest)));
    let converge = said(BudgetName::Converge, drill.expect.converge_within);
    budgets.push(Budget { formula: "as the drill file says, or by default".to_owned(), ..converge });
    budgets
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let drill = &self.drill;
        let (cluster, redis, load) = (&drill.cluster, &drill.cluster.redis, &drill.workload);
        writeln!(f, "{}: {}", drill.name, drill.title)?;
        writeln!(f, "  seed          {}", drill.seed)?;
        writeln!(f, "  system        {}: {}", drill.system.name, drill.system.title)?;
        if let Some(deployed) = &drill.deployment {
            write!(f, "{deployed}")?;
        }
        match &self.engine {
            Some(engine) => writeln!(f, "  engine        {} {} ({})", engine.kind, engine.version, engine.program)?,
            None if cluster.backend == Backend::Containers => {
                writeln!(f, "  engine        {}, the one of the image", redis.engine)?;
            }
            None => writeln!(f, "  engine        {}, to be fetched when the drill runs", redis.engine)?,
        }
        writeln!(
            f,
            "  cluster       {} × (1 + {}) Redis, node timeout {}, {}; {} chat nodes{}",
            redis.shards,
            redis.replicas_per_shard,
            redis.node_timeout,
            if redis.appendonly { "append-only file" } else { "no append-only file" },
            cluster.chat_nodes,
            self.settings()
        )?;
        writeln!(
            f,
            "  workload      {} users in {} rooms of {}, {} sends/s, open loop; {} deliveries/s owed",
            load.users(),
            load.rooms,
            load.members_per_room,
            load.sends_per_second,
            load.deliveries_per_second()
        )?;
        f.write_str(&self.steps())?;
        for (at, line) in self.blast_radius.iter().enumerate() {
            writeln!(f, "  {:13} {line}", if at == 0 { "blast radius" } else { "" })?;
        }
        writeln!(f, "  contract      {}", drill.contract())?;
        writeln!(f, "  must exercise {}", list(&drill.expect.exercises))?;
        if drill.must_fail() {
            writeln!(f, "  must fail     {}", list(&drill.expect.fails))?;
        }
        for budget in &self.budgets {
            let Budget { name, earliest, latest, formula } = budget;
            let from = if *earliest == Length::default() { String::new() } else { format!("{earliest} to ") };
            writeln!(f, "  budget        {name:9} {from}{latest}  {formula}")?;
        }
        if self.engine.is_none() && drill.steps.iter().any(|step| step.inject.takes_a_primary()) {
            writeln!(f, "  budget        promote   by the formula of the engine, when that is there")?;
        }
        writeln!(f, "  estimated     {} (longest {})", self.estimate, drill.longest)
    }
}

impl Plan {
    /// Those that a system of somebody else mostly does not have.
    fn settings(&self) -> String {
        let Drill { system, cluster, deployment, .. } = &self.drill;
        let own = [("delivery", cluster.delivery.as_str()), ("fence", cluster.fence.as_str())].into_iter();
        let own = own.filter(|(setting, _)| deployment.is_none() && system.start.tells(setting));
        own.map(|(setting, value)| format!(", {setting} {value}")).collect::<Vec<_>>().concat()
    }

    fn steps(&self) -> String {
        let drill = &self.drill;
        let mut text = String::new();
        let _ = writeln!(text, "  steady state  {} before the first fault", drill.steady);
        if drill.cluster.redis.replication_delay > Length::default() {
            let fenced = if drill.has_log() && drill.cluster.fence == Fence::Full {
                "not yet promised"
            } else {
                "already promised"
            };
            let _ = writeln!(
                text,
                "  then          replication out of the busiest primary is delayed by {}: about {:.0} messages are in \
                 flight there, {fenced}",
                drill.cluster.redis.replication_delay,
                drill.in_flight()
            );
        }
        for step in &drill.steps {
            let (kind, target) = (step.inject.kind(), step.inject.target());
            let _ = writeln!(text, "  {:13} {kind} {target}; heal after {}", step.when, step.heal_after);
        }
        if let Some(deployed) = &drill.deployment {
            let _ = writeln!(
                text,
                "  not there     replication is as fast as it is there, so R12 is looked at and not promised; spans go \
                 elsewhere"
            );
            text.push_str(&deployed.commands(drill));
        }
        text
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            When::At(at) => format!("at {at}"),
            When::On { event, then } if *then == Length::default() => format!("on {}", event.as_str()),
            When::On { event, then } => format!("on {} + {then}", event.as_str()),
            When::AfterAcks(acks) => format!("after {acks} acks"),
        })
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    match items {
        [] => "nothing".to_owned(),
        items => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}
