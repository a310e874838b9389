//! A primary without persistence is started again before anyone has noticed: its replicas resynchronise to nothing.

use std::time::Duration;

use chaos_checkers::Rule;
use chaos_cluster::RedisTopology;
use chaos_faults::{FastRestart, Inject, RedisTarget};

use crate::{
    primary_loss::crowd,
    stage::Stage,
    verdict::{Close, Judged},
    warm::{Set, play},
};

const DOWN: Duration = Duration::from_millis(200);
/// Being killed, down and up again must fit in here also on a busy machine: later, a replica would be promoted, which
/// is another scenario.
const UNNOTICED: Duration = Duration::from_secs(4);

#[test]
fn a_fast_restart_without_aof_is_caught() {
    play(async { fast_restart(false, Close::broken()).await.must_fail(Rule::R12) });
}

#[test]
fn a_fast_restart_with_aof_loses_nothing() {
    play(async { fast_restart(true, Close::exercising(&[Rule::R1, Rule::R4, Rule::R12])).await.must_pass() });
}

async fn fast_restart(appendonly: bool, close: Close) -> Judged {
    let redis = RedisTopology { appendonly, node_timeout: UNNOTICED, ..RedisTopology::new(3, 2) };
    let mut stage = Stage::set(Set { redis, ..Set::usual() }).await;
    let load = stage.steady(&crowd(), Duration::from_secs(2)).await;
    let redis = RedisTarget::PrimaryOfRoom(load.busiest_room());

    stage.inject(Inject::FastRestart(FastRestart { redis, down_for: DOWN }), Some(&load)).await;
    stage.until_acked_everywhere(&load).await;

    stage.close(load, close).await
}
