//! Processes that come back by themselves.

use std::time::Duration;

use chaos_faults::{Everyone, FastRestart, RedisTarget, Restart, RollingRestart, Sign, Target};

use crate::stage::{busiest, on_stage};

#[test]
fn a_restarted_primary_has_a_successor_before_it_comes_back() {
    on_stage(|stage| async move {
        let restart =
            stage.bites(Restart(Target::Redis(busiest())), &[Sign::ProcessReplaced, Sign::ReplicaPromoted]).await;
        stage.heals(restart).await;
    });
}

#[test]
fn a_restarted_replica_and_chat_node_serve_again() {
    on_stage(|stage| async move {
        let replica = Target::Redis(RedisTarget::ReplicaOfBusiestRoom);
        let restart = stage.bites(Restart(replica), &[Sign::ProcessReplaced]).await;
        stage.heals(restart).await;
        let restart = stage.bites(Restart(Target::Chat(1)), &[Sign::ProcessReplaced]).await;
        stage.heals(restart).await;
    });
}

#[test]
fn a_fast_restart_is_over_before_anyone_takes_over() {
    on_stage(|stage| async move {
        let fast = FastRestart { redis: busiest(), down_for: Duration::from_millis(50) };
        let fast = stage.bites(fast, &[Sign::ProcessReplaced, Sign::NobodyTookOver]).await;
        stage.heals(fast).await;
    });
}

#[test]
fn a_rolling_restart_replaces_every_process() {
    on_stage(|stage| async move {
        let rolling = stage.bites(RollingRestart { of: Everyone::Everything }, &[Sign::ProcessReplaced]).await;
        assert_eq!(rolling.servers().count(), 7);
        stage.heals(rolling).await;
    });
}
