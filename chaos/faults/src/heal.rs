//! Undoing one thing. Every step may be taken twice, and when there is nothing to undo.

use std::time::Duration;

use chaos_cluster::ProcessState;

use crate::{FaultError, HealStep, Scene};

/// Longest wait for a successor: several failed elections.
const SUCCESSION: Duration = Duration::from_secs(40);

pub(crate) async fn undo(scene: &Scene<'_>, step: &HealStep) -> Result<(), FaultError> {
    let cluster = scene.cluster;
    match step {
        HealStep::Resume { server, .. } if matches!(cluster.state(*server), ProcessState::Paused) => {
            cluster.resume(*server).await?;
        }
        HealStep::Start { server, when_replaced } if cluster.state(*server).has_ended() => {
            if *when_replaced {
                cluster.restart_when_replaced(*server, SUCCESSION).await?;
            } else {
                cluster.start_again(*server).await?;
            }
        }
        HealStep::Resume { .. } | HealStep::Start { .. } => {}
        HealStep::Hasten { links } => scene.change(links, |state| state.delay = Duration::ZERO),
        HealStep::Rejoin { server } => cluster.isolate(*server, false).await?,
        HealStep::Mend { links } => scene.change(links, |state| state.cut = false),
    }
    Ok(())
}
