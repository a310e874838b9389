//! The only place that decides what happens next.
//!
//! Boot → steady → faults by time or event → heal → drain → final read → judge → report. Whatever ends it (the end, a
//! failed check, an abort, Ctrl-C, a panic), [`run`] heals, stores what there is, and takes everything down; a harness
//! that is killed leaves the heal list on disk, and its processes die with it.
//! Deliberately absent: how any of it is done. Verbs belong to `chaos-cluster`, `chaos-faults` and `chaos-workload`;
//! this file and `run/` call them in order.

mod agenda;
mod chat;
mod disk;
mod faults;
mod finish;
mod metrics;
mod rate;
mod shards;
mod shown;
mod stage;
mod telemetry;
mod watch;
#[cfg(test)]
mod watch_tests;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use chaos_cluster::{Cluster, ContainerSettings, Engine};
use chaos_observe::{RunDir, journal::Phase};
use tokio::time::sleep;

use crate::{
    error::RunError,
    judge::{self, Judged},
    live::Audience,
    panics,
    plan::Plan,
    planted::Planted,
    schedule::Schedule,
    stop::Stop,
    unjudged,
};
use disk::Disk;
use stage::Stage;

/// Between two looks at how long something is out of order.
const LOOK: Duration = Duration::from_millis(200);

/// All that a run is given; it reads nothing else from its surroundings.
pub struct Settings {
    pub plan: Plan,
    pub engine: Engine,
    /// For the containers backend.
    pub containers: Option<ContainerSettings>,
    /// The chat node's program.
    pub node: PathBuf,
    /// Where run directories go.
    pub runs: PathBuf,
    /// Keep the servers' data in the run directory.
    pub keep: bool,
    /// A further OTLP endpoint for the spans of the run.
    pub forward: Option<String>,
    pub planted: Planted,
    /// The name of the deployment that may be touched, as whoever asks for it gave it.
    pub confirmed: Option<String>,
}

/// Why a run did not come to its end.
#[derive(Debug)]
pub(crate) enum Ended {
    Aborted(String),
    NeverSteady(String),
    /// A fault of the harness: the verb that failed, with its reason and a log's tail.
    Failed(String),
}

/// Runs a plan to its verdict. Without one the run directory says why, in the same files.
pub async fn run(settings: Settings, audience: &dyn Audience, stop: Stop) -> Result<Judged, RunError> {
    if let Some(deployed) = &settings.plan.drill.deployment {
        deployed.confirmed(settings.confirmed.as_deref()).map_err(RunError::NotConfirmed)?;
    }
    let began = Instant::now();
    let dir = RunDir::create(&settings.runs, &settings.plan.drill.name, Vec::new())?;
    match Box::pin(play(&settings, &dir, audience, &stop)).await {
        Ok(schedule) => judge::first(&dir, settings.plan, &schedule, began.elapsed().as_secs_f64()),
        Err(error) => {
            // What ended the run is the news, also when its disk is full.
            let _ = unjudged::write(&dir, &settings.plan, &error, began.elapsed().as_secs_f64());
            Err(error)
        }
    }
}

async fn play(settings: &Settings, dir: &RunDir, audience: &dyn Audience, stop: &Stop) -> Result<Schedule, RunError> {
    let longest = settings.plan.drill.longest;
    let interrupted = async {
        tokio::select! {
            why = stop.asked() => why,
            () = sleep(longest.get()) => format!("longer than its longest duration, {longest}"),
        }
    };
    tokio::pin!(interrupted);
    let run = dir.path().display().to_string();
    let mut disk = Disk::under(dir.logs());
    let mut stage = tokio::select! {
        biased;
        why = &mut interrupted => {
            return Err(RunError::Aborted { why, healed: "nothing was broken yet".to_owned(), run });
        }
        stage = panics::caught(Stage::up(settings, dir.clone(), audience)) => match stage {
            Ok(Ok(stage)) => stage,
            Ok(Err(error)) => return Err(disk.look().map_or(error, RunError::Harness)),
            Err(panic) => return Err(RunError::Harness(format!("the harness panicked while booting: {panic}"))),
        },
    };
    let cluster = Arc::clone(&stage.cluster);
    let ended = tokio::select! {
        biased;
        why = &mut interrupted => Err(Ended::Aborted(why)),
        why = overstayed(&cluster) => Err(Ended::Aborted(why)),
        why = disk.full() => Err(Ended::Failed(why)),
        done = panics::caught(perform(&mut stage)) => match done {
            Ok(done) => done,
            Err(panic) => Err(Ended::Failed(format!("the harness panicked: {panic}"))),
        },
    };
    // Whatever it looked like at first.
    let ended = ended.map_err(|ended| disk.look().map_or(ended, Ended::Failed));
    cluster.settled().await;
    let healed = stage.heal_everything().await;
    cluster.settled().await;
    let left = cluster.left();
    drop(cluster);
    let (ended, healed) = match (ended, healed) {
        (ended, _) if !left.is_empty() => {
            let why = format!("what this drill put out of order is not back; run\n  {}", left.join("\n  "));
            stage.note(&why);
            (ended.and(Err(Ended::Failed(why.clone()))), why)
        }
        (ended, Ok(())) => (ended, "everything is healed".to_owned()),
        (ended, Err(why)) if settings.plan.drill.deployment.is_some() => {
            (ended, format!("not everything is healed ({why}), but every server is back"))
        }
        (ended, Err(why)) => (ended, format!("not everything is healed ({why}), but every process has ended")),
    };
    let schedule = stage.close(&ended).await?;
    match ended {
        Ok(()) => Ok(schedule),
        Err(Ended::Aborted(why)) => Err(RunError::Aborted { why, healed, run }),
        Err(Ended::NeverSteady(why)) => Err(RunError::NeverSteady { why, run }),
        Err(Ended::Failed(why)) if why == healed || left.is_empty() => {
            Err(RunError::Harness(format!("{why}\n(record: {run})")))
        }
        Err(Ended::Failed(why)) => Err(RunError::Harness(format!("{why}\n{healed}\n(record: {run})"))),
    }
}

/// Of somebody else's deployment.
async fn overstayed(cluster: &Cluster) -> String {
    loop {
        if let Some(why) = cluster.overstayed() {
            return why;
        }
        sleep(LOOK).await;
    }
}

/// The drill, as a storyboard.
async fn perform(stage: &mut Stage<'_>) -> Result<(), Ended> {
    stage.phase(Phase::Steady);
    stage.steady().await?;
    stage.phase(Phase::Faults);
    stage.delay_replication().await?;
    stage.faults().await?;
    stage.phase(Phase::Heal);
    stage.canaries().await?;
    stage.settle().await;
    stage.phase(Phase::Drain);
    stage.drain().await;
    stage.phase(Phase::FinalRead);
    stage.final_read().await;
    stage.phase(Phase::Judge);
    Ok(())
}
