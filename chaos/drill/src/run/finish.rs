//! The end of a run, whatever ended it: the record is completed, processes end, nothing is left but the run directory.

use std::{sync::Arc, time::Duration};

use chaos_observe::{History, RunDir, journal::Phase};
use chaos_workload::Sampling;

use super::{
    Ended,
    stage::{Stage, harness},
    telemetry,
};
use crate::{error::RunError, schedule::Schedule};

/// Spans are exported every 100 ms; a stalled exporter must not hold up the end.
const LAST_SPANS: Duration = Duration::from_millis(400);
const RECEIVER_STOP: Duration = Duration::from_secs(2);

impl Stage<'_> {
    /// Takes everything down and returns what really happened.
    pub(crate) async fn close(mut self, ended: &Result<(), Ended>) -> Result<Schedule, RunError> {
        self.schedule.stopped = ended.as_ref().err().map(|ended| match ended {
            Ended::Aborted(why) | Ended::NeverSteady(why) | Ended::Failed(why) => why.clone(),
        });
        let complete = ended.is_ok();
        let traced = self.drill.system.dialect.is_none() && self.drill.deployment.is_none();
        let sampling = self.load.sampling();
        if complete {
            tokio::time::sleep(LAST_SPANS).await;
        }
        // After that, since a stretch is known once it has ended.
        self.schedule.own_lag_ms = self.lag.worst().as_millis() as u64;
        self.schedule.late = self.lag.late();
        self.write_down();
        self.journal.phase(Phase::Cleanup, "");
        let Stage { load, mut tasks, cluster, receiver, recorder, spans, journal, dir, mut schedule, .. } = self;
        if complete {
            load.finish().await;
        } else {
            drop(load);
        }
        tasks.shutdown().await;
        let cluster = Arc::into_inner(cluster).ok_or_else(|| harness("the cluster is still in use at the end"))?;
        cluster.shutdown().await.map_err(harness)?;
        schedule.spans_received = receiver.received().spans;
        receiver.stop(RECEIVER_STOP).await;
        recorder.finish().map_err(harness)?;
        spans.finish().map_err(harness)?;
        // Another's server knows nothing of our spans, and a deployment sends them elsewhere.
        if complete && traced {
            account(&dir, &spans, sampling, &mut schedule)?;
        }
        let text = toml::to_string(&schedule).map_err(harness)?;
        dir.write("schedule.toml", &text)?;
        journal.finish().map_err(harness)?;
        Ok(schedule)
    }
}

fn account(
    dir: &RunDir,
    spans: &chaos_observe::SpanStore,
    sampling: Sampling,
    schedule: &mut Schedule,
) -> Result<(), RunError> {
    let history = History::load(&dir.history()).map_err(harness)?;
    let missing = telemetry::missing(&history, spans, sampling, &schedule.faults);
    schedule.spans_missing = missing.missing;
    schedule.spans_excused = missing.excused;
    Ok(())
}
