//! SIGSTOP: the process keeps its connections and its memory, and does nothing. The kernel still accepts connections
//! and bytes for it. When it wakes, a paused primary still believes that it is one.

use serde::{Deserialize, Serialize};

use crate::{
    Aim, Evidence, Fault, FaultError, HealStep, Scene, Sign, Target,
    evidence::{promoted, stopped},
};

/// `pause = { redis = "busiest_primary" }`. Healed by resuming it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pause(pub Target);

impl Fault for Pause {
    const KIND: &'static str = "pause";
    const SUMMARY: &'static str =
        "a process hangs (SIGSTOP), its connections stay; after the window it wakes as it was";
    const EXAMPLE: &'static str = r#"{ pause = { redis = "busiest_primary" } }"#;

    fn target(&self) -> String {
        self.0.to_string()
    }

    fn blast_radius(&self) -> String {
        self.0.blast_radius("hung")
    }

    async fn aim(&self, scene: &Scene<'_>) -> Result<Aim, FaultError> {
        Ok(Aim::at(self.0.resolve(scene).await?))
    }

    fn undo(&self, aim: &Aim) -> Vec<HealStep> {
        aim.struck.iter().map(|struck| HealStep::Resume { server: struck.server, pid: struck.pid }).collect()
    }

    async fn bite(&self, scene: &Scene<'_>, aim: &mut Aim) -> Result<(), FaultError> {
        for struck in &aim.struck {
            scene.cluster.pause(struck.server).await?;
        }
        Ok(())
    }

    async fn prove(&self, scene: &Scene<'_>, aim: &Aim) -> Vec<Evidence> {
        stopped(scene, aim).into_iter().chain(promoted(scene, aim).await).collect()
    }

    fn required(&self, _: &Aim) -> Vec<Sign> {
        vec![Sign::ProcessStopped]
    }
}
