//! SIGKILL, and started again before anyone has noticed: what a supervisor does that does not know Redis Cluster.
//!
//! There is no failover then. Replicas resynchronise to what the primary has on disk; without persistence that is
//! nothing, and every acknowledged write is gone.

use std::time::Duration;

use chaos_observe::length;
use serde::{Deserialize, Serialize};

use crate::{
    Aim, Evidence, Fault, FaultError, HealStep, RedisTarget, Scene, Sign, Target,
    evidence::{replaced, unnoticed},
};

/// `fast_restart = { redis = "busiest_primary", down_for = "200ms" }`; a time well below the node timeout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FastRestart {
    pub redis: RedisTarget,
    #[serde(with = "length", default = "a_moment")]
    pub down_for: Duration,
}

fn a_moment() -> Duration {
    Duration::from_millis(200)
}

impl Fault for FastRestart {
    const KIND: &'static str = "fast_restart";
    const SUMMARY: &'static str = "a Redis node dies and is started again before anyone notices, so nobody takes over";
    const EXAMPLE: &'static str = r#"{ fast_restart = { redis = "busiest_primary", down_for = "200ms" } }"#;

    fn target(&self) -> String {
        self.redis.to_string()
    }

    fn blast_radius(&self) -> String {
        format!("{}; without persistence all that its shard ever acknowledged", self.redis)
    }

    async fn aim(&self, scene: &Scene<'_>) -> Result<Aim, FaultError> {
        Ok(Aim::at(Target::Redis(self.redis.clone()).resolve(scene).await?))
    }

    fn undo(&self, aim: &Aim) -> Vec<HealStep> {
        aim.struck.iter().map(|struck| HealStep::Start { server: struck.server, when_replaced: false }).collect()
    }

    async fn bite(&self, scene: &Scene<'_>, aim: &mut Aim) -> Result<(), FaultError> {
        for struck in &aim.struck {
            scene.cluster.kill(struck.server).await?;
            tokio::time::sleep(self.down_for).await;
            scene.cluster.start_again(struck.server).await?;
        }
        Ok(())
    }

    async fn prove(&self, scene: &Scene<'_>, aim: &Aim) -> Vec<Evidence> {
        replaced(scene, aim).into_iter().chain(unnoticed(scene, aim).await).collect()
    }

    fn required(&self, _: &Aim) -> Vec<Sign> {
        vec![Sign::ProcessReplaced, Sign::NobodyTookOver]
    }
}
