//! SIGTERM, and started again as soon as that is safe: what an operator does to one process.

use serde::{Deserialize, Serialize};

use crate::{
    Aim, Evidence, Fault, FaultError, HealStep, Scene, Sign, Struck, Target,
    evidence::{promoted, replaced},
    heal,
    resolve::start_again,
    terminate::LONGEST_GOODBYE,
};

/// `restart = { chat = 1 }`. It is on when the process serves again, so there is nothing left to heal. A Redis primary
/// comes back when a survivor has taken its slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Restart(pub Target);

impl Fault for Restart {
    const KIND: &'static str = "restart";
    const SUMMARY: &'static str =
        "a process is asked to go (SIGTERM) and started again, a primary when it has a successor";
    const EXAMPLE: &'static str = "{ restart = { chat = 1 } }";

    fn target(&self) -> String {
        self.0.to_string()
    }

    fn blast_radius(&self) -> String {
        self.0.blast_radius("down for a moment")
    }

    async fn aim(&self, scene: &Scene<'_>) -> Result<Aim, FaultError> {
        Ok(Aim::at(self.0.resolve(scene).await?))
    }

    fn undo(&self, aim: &Aim) -> Vec<HealStep> {
        aim.struck.iter().map(start_again).collect()
    }

    async fn bite(&self, scene: &Scene<'_>, aim: &mut Aim) -> Result<(), FaultError> {
        for struck in &aim.struck {
            restart(scene, struck).await?;
        }
        Ok(())
    }

    async fn prove(&self, scene: &Scene<'_>, aim: &Aim) -> Vec<Evidence> {
        replaced(scene, aim).into_iter().chain(promoted(scene, aim).await).collect()
    }

    fn required(&self, _: &Aim) -> Vec<Sign> {
        vec![Sign::ProcessReplaced]
    }
}

pub(crate) async fn restart(scene: &Scene<'_>, struck: &Struck) -> Result<(), FaultError> {
    scene.cluster.terminate(struck.server, LONGEST_GOODBYE).await?;
    heal::undo(scene, &start_again(struck)).await
}
