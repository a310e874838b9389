//! The only place that decides what happens next.
//!
//! Boot → steady → faults by time or event → heal → drain → final read → judge → report. Whatever ends it (the end, a
//! failed check, an abort, Ctrl-C, a panic), [`run`] heals, stores what there is, and takes everything down; a harness
//! that is killed leaves the heal list on disk, and its processes die with it.
//! Deliberately absent: how any of it is done. Verbs belong to `chaos-cluster`, `chaos-faults` and `chaos-workload`;
//! this file and `run/` call them in order.

mod agenda;
mod chat;
mod faults;
mod finish;
mod metrics;
mod rate;
mod shards;
mod stage;
mod telemetry;
mod watch;
#[cfg(test)]
mod watch_tests;

use std::{path::PathBuf, time::Instant};

use chaos_cluster::Engine;
use chaos_observe::journal::Phase;
use tokio::time::sleep;

use crate::{
    error::RunError,
    judge::{self, Judged},
    live::Audience,
    panics,
    plan::Plan,
    planted::Planted,
    stop::Stop,
};
use stage::Stage;

/// All that a run is given; it reads nothing else from its surroundings.
pub struct Settings {
    pub plan: Plan,
    pub engine: Engine,
    /// The chat node's program.
    pub node: PathBuf,
    /// Where run directories go.
    pub runs: PathBuf,
    /// Keep the servers' data in the run directory.
    pub keep: bool,
    /// A further OTLP endpoint for the spans of the run.
    pub forward: Option<String>,
    pub planted: Planted,
}

/// Why a run did not come to its end.
#[derive(Debug)]
pub(crate) enum Ended {
    Aborted(String),
    NeverSteady(String),
    /// A fault of the harness: the verb that failed, with its reason and a log's tail.
    Failed(String),
}

/// Runs a plan to its verdict.
pub async fn run(settings: Settings, audience: &dyn Audience, stop: Stop) -> Result<Judged, RunError> {
    let began = Instant::now();
    let longest = settings.plan.drill.longest;
    let too_long = async {
        sleep(longest.get()).await;
        format!("longer than its longest duration, {longest}")
    };
    let interrupted = async {
        tokio::select! {
            why = stop.asked() => why,
            why = too_long => why,
        }
    };
    tokio::pin!(interrupted);
    let mut stage = tokio::select! {
        biased;
        why = &mut interrupted => return Err(RunError::Aborted { why, run: "none yet".to_owned() }),
        stage = panics::caught(Stage::up(&settings, audience)) => match stage {
            Ok(stage) => stage?,
            Err(panic) => return Err(RunError::Harness(format!("the harness panicked while booting: {panic}"))),
        },
    };
    let ended = tokio::select! {
        biased;
        why = &mut interrupted => Err(Ended::Aborted(why)),
        done = panics::caught(perform(&mut stage)) => match done {
            Ok(done) => done,
            Err(panic) => Err(Ended::Failed(format!("the harness panicked: {panic}"))),
        },
    };
    stage.heal_everything().await;
    let (dir, schedule) = stage.close(&ended).await?;
    let run = dir.path().display().to_string();
    match ended {
        Ok(()) => judge::first(&dir, settings.plan, &schedule, began.elapsed().as_secs_f64()),
        Err(Ended::Aborted(why)) => Err(RunError::Aborted { why, run }),
        Err(Ended::NeverSteady(why)) => Err(RunError::NeverSteady { why, run }),
        Err(Ended::Failed(why)) => Err(RunError::Harness(format!("{why} (record: {run})"))),
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
