//! Packets vanish, connections stay: one node, or a small group, is cut off from others, in one direction or both.
//!
//! Per pair of source and destination. Cutting only what goes *to* a primary's bus port is no partition: its own pings
//! keep it alive. A partition of the client port alone is none either.

use std::collections::BTreeSet;

use chaos_cluster::{LinkEnd, LinkKind, Server};
use serde::{Deserialize, Serialize};

use crate::{
    Aim, Evidence, Fault, FaultError, HealStep, RedisTarget, Scene, Sign, Target,
    evidence::{called_failing, carried_since, promoted},
    fault::Touched,
};

/// `cut = { redis = "busiest_primary" }` isolates it. Healed by letting everything through again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    pub redis: RedisTarget,
    #[serde(default)]
    pub from: Across,
    #[serde(default)]
    pub direction: Direction,
    #[serde(default)]
    pub carrying: Carrying,
}

/// The other side of the cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Across {
    /// All other Redis nodes, and clients (chat nodes).
    #[default]
    Everyone,
    /// As `everyone`, but one of its replicas is cut off together with it.
    EveryoneButAReplica,
    /// All other Redis nodes; chat nodes still reach it.
    Redis,
    /// Its replicas.
    Replicas,
    /// Chat nodes.
    Clients,
}

/// Seen from the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    #[default]
    Both,
    /// What it says is not heard.
    Out,
    /// It hears nothing.
    In,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrying {
    #[default]
    Everything,
    /// The cluster bus: gossip and votes.
    Bus,
    Replication,
}

impl Fault for Cut {
    const KIND: &'static str = "cut";
    const SUMMARY: &'static str = "packets to and from a Redis node vanish while its connections stay";
    const EXAMPLE: &'static str = r#"{ cut = { redis = "busiest_primary", from = "everyone" } }"#;

    fn target(&self) -> String {
        self.redis.to_string()
    }

    fn blast_radius(&self) -> String {
        Target::Redis(self.redis.clone()).blast_radius("cut off")
    }

    async fn aim(&self, scene: &Scene<'_>) -> Result<Aim, FaultError> {
        let mut aim = Aim::at(Target::Redis(self.redis.clone()).resolve(scene).await?);
        if !scene.cluster.has_links() {
            return Ok(aim);
        }
        let mut inside: BTreeSet<Server> = aim.struck.iter().map(|struck| struck.server).collect();
        let view = scene.cluster.view().await;
        let replicas: BTreeSet<Server> = inside.iter().flat_map(|server| view.replicas_of(*server)).collect();
        if self.from == Across::EveryoneButAReplica {
            inside.extend(replicas.first());
        }
        for (from, to) in self.pairs(scene, &inside, &replicas) {
            aim.links.extend(self.kinds(from, to).into_iter().map(|kind| Touched::now(scene, from, to, kind)));
        }
        if aim.links.is_empty() {
            return Err(FaultError::Target {
                target: self.target(),
                why: "there is nothing to cut it off from".into(),
            });
        }
        Ok(aim)
    }

    fn undo(&self, aim: &Aim) -> Vec<HealStep> {
        if aim.links.is_empty() {
            return aim.struck.iter().map(|struck| HealStep::Rejoin { server: struck.server }).collect();
        }
        vec![HealStep::Mend { links: aim.links.iter().map(|touched| touched.link.clone()).collect() }]
    }

    async fn bite(&self, scene: &Scene<'_>, aim: &mut Aim) -> Result<(), FaultError> {
        scene.change(aim.links.iter().map(|touched| &touched.link), |state| state.cut = true);
        for struck in aim.struck.iter().filter(|_| aim.links.is_empty()) {
            scene.cluster.isolate(struck.server, true).await?;
        }
        Ok(())
    }

    async fn prove(&self, scene: &Scene<'_>, aim: &Aim) -> Vec<Evidence> {
        let mut seen = Vec::new();
        let withheld = carried_since(scene, aim, |carried| carried.withheld);
        let refused = carried_since(scene, aim, |carried| carried.refused);
        if withheld + refused > 0 {
            let text = format!("{withheld} bytes kept back and {refused} connections not made");
            seen.push(scene.evidence(Sign::BytesWithheld, text));
        }
        if aim.links.is_empty() {
            seen.extend(called_failing(scene, aim).await);
        }
        seen.extend(promoted(scene, aim).await);
        seen
    }

    fn required(&self, aim: &Aim) -> Vec<Sign> {
        vec![if aim.links.is_empty() { Sign::CalledFailing } else { Sign::BytesWithheld }]
    }
}

impl Cut {
    /// The only cut that is one command: from everyone, both ways, everything.
    pub fn is_whole(&self) -> bool {
        (self.from, self.direction, self.carrying) == (Across::Everyone, Direction::Both, Carrying::Everything)
    }

    /// From and to, each pair once for each direction that is cut.
    fn pairs(
        &self,
        scene: &Scene<'_>,
        inside: &BTreeSet<Server>,
        replicas: &BTreeSet<Server>,
    ) -> Vec<(LinkEnd, LinkEnd)> {
        let mut outside: Vec<LinkEnd> = match self.from {
            Across::Clients => Vec::new(),
            Across::Replicas => replicas.iter().map(|replica| LinkEnd::Redis(replica.number())).collect(),
            Across::Everyone | Across::EveryoneButAReplica | Across::Redis => {
                let others =
                    scene.cluster.servers().into_iter().filter(|other| other.is_redis() && !inside.contains(other));
                others.map(|other| LinkEnd::Redis(other.number())).collect()
            }
        };
        if matches!(self.from, Across::Everyone | Across::EveryoneButAReplica | Across::Clients) {
            outside.push(LinkEnd::Clients);
        }
        let mut pairs = Vec::new();
        for within in inside.iter().map(|server| LinkEnd::Redis(server.number())) {
            for beyond in &outside {
                pairs.extend((self.direction != Direction::In).then_some((within, *beyond)));
                pairs.extend((self.direction != Direction::Out).then_some((*beyond, within)));
            }
        }
        pairs
    }

    fn kinds(&self, from: LinkEnd, to: LinkEnd) -> Vec<LinkKind> {
        let with_clients = from == LinkEnd::Clients || to == LinkEnd::Clients;
        match (with_clients, self.carrying) {
            (true, Carrying::Everything) => vec![LinkKind::Client],
            (true, Carrying::Bus | Carrying::Replication) => Vec::new(),
            (false, Carrying::Everything) => vec![LinkKind::Bus, LinkKind::Replication],
            (false, Carrying::Bus) => vec![LinkKind::Bus],
            (false, Carrying::Replication) => vec![LinkKind::Replication],
        }
    }
}
