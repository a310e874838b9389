//! SIGKILL: the process is gone at once, and says goodbye to nobody.

use serde::{Deserialize, Serialize};

use crate::{
    Aim, Evidence, Fault, FaultError, HealStep, Scene, Sign, Target,
    evidence::{gone, promoted},
    markers::Markers,
    resolve::start_again,
};

/// `kill = { redis = "primary_of_busiest_room" }`, `kill = { chat = 1 }`. Healed by starting it again.
///
/// When the links by which a primary replicates are delayed, un-fenced markers are written to it right before, and it
/// only counts when some of them are missing on the promoted one: otherwise nothing could have been lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kill(pub Target);

impl Fault for Kill {
    const KIND: &'static str = "kill";
    const SUMMARY: &'static str = "a process dies at once (SIGKILL); after the window it is started again";
    const EXAMPLE: &'static str = r#"{ kill = { redis = "primary_of_busiest_room" } }"#;

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
        for nth in 0..aim.struck.len() {
            let struck = &aim.struck[nth];
            if struck.owned.is_some() && scene.delays_replication_of(struck.server) {
                aim.markers = Some(Markers::write(scene, struck).await?);
            }
            scene.cluster.kill(aim.struck[nth].server).await?;
        }
        Ok(())
    }

    async fn prove(&self, scene: &Scene<'_>, aim: &Aim) -> Vec<Evidence> {
        let mut seen: Vec<Evidence> = gone(scene, aim).into_iter().collect();
        let promoted = promoted(scene, aim).await;
        if let (Some(markers), Some(_)) = (&aim.markers, &promoted) {
            seen.extend(markers.lost(scene).await);
        }
        seen.extend(promoted);
        seen
    }

    fn required(&self, aim: &Aim) -> Vec<Sign> {
        let mut required = vec![Sign::ProcessGone];
        required.extend(aim.markers.as_ref().map(|_| Sign::WritesLost));
        required
    }
}
