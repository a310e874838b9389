//! Replication out of one primary is late, as over a long or a crowded line; nothing else is.
//!
//! On one machine a killed primary loses nothing without it: the kernel still sends the dead process's buffers. The
//! proxy drops what it holds when its source dies, so with it un-fenced writes are lost.

use std::time::Duration;

use chaos_cluster::{LinkEnd, LinkKind, Server};
use chaos_observe::length;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{
    Aim, Evidence, Fault, FaultError, HealStep, RedisTarget, Scene, Sign, Struck, Target, evidence::carried_since,
    fault::Touched,
};

const LOOK: Duration = Duration::from_millis(5);

/// `replication_delay = { redis = "busiest_primary", delay = "200ms" }`. Healed by taking the delay off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicationDelay {
    /// Resolved when the delay begins. Whoever is promoted later replicates without delay, so that its
    /// resynchronisation is not slowed.
    pub redis: RedisTarget,
    #[serde(with = "length")]
    pub delay: Duration,
}

impl Fault for ReplicationDelay {
    const KIND: &'static str = "replication_delay";
    const SUMMARY: &'static str = "replication out of one primary is late; what is under way is lost when it dies";
    const EXAMPLE: &'static str = r#"{ replication_delay = { redis = "busiest_primary", delay = "200ms" } }"#;

    fn target(&self) -> String {
        self.redis.to_string()
    }

    fn blast_radius(&self) -> String {
        format!("acks of 1 shard take {:?} to {:?} longer", self.delay, self.delay * 2)
    }

    async fn aim(&self, scene: &Scene<'_>) -> Result<Aim, FaultError> {
        let mut aim = Aim::at(Target::Redis(self.redis.clone()).resolve(scene).await?);
        let servers = scene.cluster.servers();
        for struck in &aim.struck {
            let from = LinkEnd::Redis(struck.server.number());
            let others = servers.iter().filter(|other| other.is_redis() && **other != struck.server);
            let link =
                |other: &Server| Touched::now(scene, from, LinkEnd::Redis(other.number()), LinkKind::Replication);
            aim.links.extend(others.map(link));
        }
        Ok(aim)
    }

    fn undo(&self, aim: &Aim) -> Vec<HealStep> {
        vec![HealStep::Hasten { links: aim.links.iter().map(|touched| touched.link.clone()).collect() }]
    }

    async fn bite(&self, scene: &Scene<'_>, aim: &mut Aim) -> Result<(), FaultError> {
        scene.change(aim.links.iter().map(|touched| &touched.link), |state| state.delay = self.delay);
        Ok(())
    }

    async fn prove(&self, scene: &Scene<'_>, aim: &Aim) -> Vec<Evidence> {
        let mut seen = Vec::new();
        for struck in &aim.struck {
            if let Some(took) = self.first_arrival(scene, struck).await.filter(|took| *took >= self.delay.mul_f64(0.8))
            {
                let (server, delay) = (struck.server, self.delay);
                let text = format!("a write took {took:.0?} from {server} to its first replica; {delay:?} was asked");
                seen.push(scene.evidence(Sign::ReplicationSlowed, text));
            }
        }
        let late = carried_since(scene, aim, |carried| carried.delayed);
        if late > 0 {
            seen.push(scene.evidence(Sign::BytesDelayed, format!("{late} bytes of replication arrived late")));
        }
        seen
    }

    fn required(&self, _: &Aim) -> Vec<Sign> {
        vec![Sign::ReplicationSlowed]
    }
}

impl ReplicationDelay {
    /// How long a write takes to the first replica that has it. `None` when nobody can be asked, or far too long.
    async fn first_arrival(&self, scene: &Scene<'_>, primary: &Struck) -> Option<Duration> {
        let began = Instant::now();
        let tag = crate::markers::tag(primary);
        scene.cluster.ask(primary.server, &["SET", &format!("{{{tag}}}:probe"), "1"]).await.ok()?;
        let written = offset(scene, primary).await?;
        while began.elapsed() < self.delay * 3 + Duration::from_secs(1) {
            let view = scene.cluster.view().await;
            let arrived = |replica: &Server| view.node(*replica).is_some_and(|node| node.offset >= written);
            if view.replicas_of(primary.server).iter().any(arrived) {
                return Some(began.elapsed());
            }
            sleep(LOOK).await;
        }
        None
    }
}

async fn offset(scene: &Scene<'_>, primary: &Struck) -> Option<u64> {
    let view = scene.cluster.view().await;
    view.node(primary.server).map(|node| node.offset)
}
