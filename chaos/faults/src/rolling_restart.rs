//! Every process in its turn: what an upgrade does to a deployment.

use std::time::Duration;

use chaos_cluster::Server;
use serde::{Deserialize, Serialize};

use crate::{
    Aim, Evidence, Fault, FaultError, HealStep, Scene, Sign,
    evidence::replaced,
    resolve::{start_again, strike},
    restart::restart,
};

/// Until all is well again after one of them.
const WELL: Duration = Duration::from_mins(1);

/// `rolling_restart = { of = "everything" }`. Each is asked to go (SIGTERM), started again (a primary when it has a
/// successor), and the next one waits until every Redis node answers and every replica is level. It is on when the last
/// one serves again, so there is nothing left to heal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollingRestart {
    #[serde(default)]
    pub of: Everyone,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Everyone {
    /// Redis first, then the chat nodes.
    #[default]
    Everything,
    Redis,
    Chat,
}

impl Fault for RollingRestart {
    const KIND: &'static str = "rolling_restart";
    const SUMMARY: &'static str = "every process is restarted, one after another, each when all is well again";
    const EXAMPLE: &'static str = r#"{ rolling_restart = { of = "everything" } }"#;

    fn target(&self) -> String {
        let of = match self.of {
            Everyone::Everything => "every Redis node and every chat node",
            Everyone::Redis => "every Redis node",
            Everyone::Chat => "every chat node",
        };
        of.to_owned()
    }

    fn blast_radius(&self) -> String {
        "every process, but only 1 down at a time".to_owned()
    }

    async fn aim(&self, scene: &Scene<'_>) -> Result<Aim, FaultError> {
        let mut servers = scene.cluster.servers();
        servers.retain(|server| self.takes(*server));
        servers.sort_by_key(|server| (!server.is_redis(), server.number()));
        let view = scene.cluster.view().await;
        Ok(Aim::at(servers.into_iter().map(|server| strike(scene, &view, server)).collect::<Result<_, _>>()?))
    }

    fn undo(&self, aim: &Aim) -> Vec<HealStep> {
        aim.struck.iter().map(start_again).collect()
    }

    async fn bite(&self, scene: &Scene<'_>, aim: &mut Aim) -> Result<(), FaultError> {
        for struck in &aim.struck {
            restart(scene, struck).await?;
            scene.cluster.wait_until_level(WELL).await?;
        }
        Ok(())
    }

    async fn prove(&self, scene: &Scene<'_>, aim: &Aim) -> Vec<Evidence> {
        replaced(scene, aim).into_iter().collect()
    }

    fn required(&self, _: &Aim) -> Vec<Sign> {
        vec![Sign::ProcessReplaced]
    }
}

impl RollingRestart {
    fn takes(&self, server: Server) -> bool {
        match self.of {
            Everyone::Everything => true,
            Everyone::Redis => server.is_redis(),
            Everyone::Chat => !server.is_redis(),
        }
    }
}
