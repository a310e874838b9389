//! SIGTERM: the process is asked to go, and does so in its own way.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Aim, Evidence, Fault, FaultError, HealStep, Scene, Sign, Target,
    evidence::{gone, promoted},
    resolve::start_again,
};

/// A chat node drains for up to 10 s; a Redis primary waits for its replicas for up to 10 s.
pub(crate) const LONGEST_GOODBYE: Duration = Duration::from_secs(15);

/// `terminate = { chat = 1 }`. It is on when the process has gone. Healed by starting it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Terminate(pub Target);

impl Fault for Terminate {
    const KIND: &'static str = "terminate";
    const SUMMARY: &'static str = "a process is asked to go (SIGTERM) and goes; after the window it is started again";
    const EXAMPLE: &'static str = "{ terminate = { chat = 1 } }";

    fn target(&self) -> String {
        self.0.to_string()
    }

    fn blast_radius(&self) -> String {
        self.0.blast_radius("down")
    }

    async fn aim(&self, scene: &Scene<'_>) -> Result<Aim, FaultError> {
        Ok(Aim::at(self.0.resolve(scene).await?))
    }

    fn undo(&self, aim: &Aim) -> Vec<HealStep> {
        aim.struck.iter().map(start_again).collect()
    }

    async fn bite(&self, scene: &Scene<'_>, aim: &mut Aim) -> Result<(), FaultError> {
        for struck in &aim.struck {
            scene.cluster.terminate(struck.server, LONGEST_GOODBYE).await?;
        }
        Ok(())
    }

    async fn prove(&self, scene: &Scene<'_>, aim: &Aim) -> Vec<Evidence> {
        gone(scene, aim).into_iter().chain(promoted(scene, aim).await).collect()
    }

    fn required(&self, _: &Aim) -> Vec<Sign> {
        vec![Sign::ProcessGone]
    }
}
