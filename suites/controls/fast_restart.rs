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

#[test]
fn a_fast_restart_without_aof_is_caught() {
    let redis = RedisTopology { appendonly: false, ..RedisTopology::new(3, 2) };
    play(async { fast_restart(Set { redis, ..Set::usual() }, Close::broken()).await.must_fail(Rule::R12) });
}

#[test]
fn a_fast_restart_with_aof_loses_nothing() {
    play(async { fast_restart(Set::usual(), Close::exercising(&[Rule::R1, Rule::R4, Rule::R12])).await.must_pass() });
}

async fn fast_restart(set: Set, close: Close) -> Judged {
    let mut stage = Stage::set(set).await;
    let load = stage.steady(&crowd(), Duration::from_secs(2)).await;
    let redis = RedisTarget::PrimaryOfRoom(load.busiest_room());

    stage.inject(Inject::FastRestart(FastRestart { redis, down_for: DOWN }), Some(&load)).await;
    stage.until_acked_everywhere(&load).await;

    stage.close(load, close).await
}
