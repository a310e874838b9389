//! A running deployment as the place of a drill: what was found there, what the drill may do to it, and who said so.
//!
//! Its file is read by `load.rs`; what a drill asks for and the operator's commands cannot do, or the blast radius does not
//! allow, is a contradiction (`limits.rs`), refused before anything is touched.

mod limits;
mod load;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};

use chaos_cluster::{Act, Deployment, Engine, Found, Server, Shard};
use chaos_observe::Length;
use serde::{Deserialize, Serialize};

pub(crate) use limits::contradictions;
pub use load::{is_deployment, load_deployment};

use crate::drill::{Backend, Drill};

/// A deployment as it was when the drill was planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployed {
    pub deployment: Deployment,
    pub shards: Vec<Shard>,
    #[serde(skip)]
    engine: Option<Engine>,
}

impl Deployed {
    pub fn of(deployment: Deployment, found: &Found) -> Deployed {
        Deployed { deployment, shards: found.shards.clone(), engine: Some(found.engine.clone()) }
    }

    /// By its own word. `None` in a stored plan, which tells it elsewhere.
    pub fn engine(&self) -> Option<Engine> {
        self.engine.clone()
    }

    /// Whether `given` is its name: who touches a deployment says which. And whether nobody said stop.
    pub fn confirmed(&self, given: Option<&str>) -> Result<(), String> {
        let name = &self.deployment.name;
        match given {
            Some(given) if given == name => match self.deployment.stop_file().filter(|file| file.exists()) {
                Some(file) => Err(format!("the stop file {} is there; nothing was touched", file.display())),
                None => Ok(()),
            },
            Some(given) => Err(format!("`--yes-this-is {given}`: this deployment is {name}; nothing was touched")),
            None => Err(format!("nothing was touched: `--yes-this-is {name}` runs it")),
        }
    }
}

/// Takes its settings from what is there; what a drill would set up and cannot is left out of it.
pub(crate) fn place(drill: &mut Drill, deployed: &Deployed, found: &Found) {
    let cluster = &mut drill.cluster;
    cluster.backend = Backend::External;
    cluster.chat_nodes = deployed.deployment.chat.len() as u8;
    cluster.history_window = deployed.deployment.history_window;
    cluster.redis.shards = found.redis.shards;
    cluster.redis.replicas_per_shard = found.redis.replicas_per_shard;
    cluster.redis.node_timeout = Length::from(found.redis.node_timeout);
    cluster.redis.appendonly = found.redis.appendonly;
    cluster.redis.replication_delay = Length::default();
    // It proves nothing unless replication is slowed.
    drill.expect.exercises.retain(|rule| *rule != chaos_checkers::Rule::R12);
    drill.deployment = Some(deployed.clone());
}

/// For the plan: where everything is, and what would be run.
impl fmt::Display for Deployed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Deployment { name, title, .. } = &self.deployment;
        writeln!(f, "  deployment    {name}: {title}")?;
        for (number, shard) in (1..).zip(&self.shards) {
            let slots: Vec<_> = shard.slots.iter().map(|(first, last)| format!("{first}-{last}")).collect();
            let replicas: Vec<_> = shard.replicas.iter().map(|replica| self.at(*replica)).collect();
            let primary = self.at(shard.primary);
            writeln!(f, "  {:13} shard {number} ({}): {primary}; {}", "", slots.join(" "), replicas.join(", "))?;
        }
        let chat: Vec<_> = self.deployment.chat_servers().map(|server| self.at(server)).collect();
        writeln!(f, "  {:13} {}", "", chat.join(", "))
    }
}

impl Deployed {
    fn at(&self, server: Server) -> String {
        let place = self.deployment.endpoint(server).map(ToString::to_string).unwrap_or_default();
        format!("{server} {place}")
    }

    /// Whom each fault may hit as things are, and what would be run then.
    pub(crate) fn commands(&self, drill: &Drill) -> String {
        let mut text = String::new();
        for step in &drill.steps {
            let hits = limits::candidates(&step.inject, self);
            let _ = writeln!(text, "  would hit     {} of {}, and run", step.inject.kind(), one_of(&hits));
            for server in hits {
                let acts = limits::acts(&step.inject).unwrap_or_default();
                let lines = acts.iter().filter_map(|act| Some(format!("{act}: {}", self.line(server, *act)?)));
                let _ = writeln!(text, "  {:13} {server}  {}", "", lines.collect::<Vec<_>>().join("   "));
            }
        }
        text
    }

    fn line(&self, server: Server, act: Act) -> Option<String> {
        self.deployment.line(server, act)
    }
}

fn one_of(servers: &[Server]) -> String {
    let names: Vec<_> = servers.iter().map(ToString::to_string).collect();
    if names.len() == 1 { names.concat() } else { format!("one of {}", names.join(", ")) }
}
