//! Processes that come back by themselves.

use std::time::Duration;

use chaos_faults::{Everyone, FastRestart, Inject, RedisTarget, Restart, RollingRestart, Sign, Target};

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
fn a_bite_that_is_given_up_half_way_is_healed() {
    on_stage(|stage| async move {
        let fast = Inject::from(FastRestart { redis: busiest(), down_for: Duration::from_hours(1) });
        let mut fast = fast.aim("1", &stage.scene()).await.unwrap();
        assert_eq!(stage.to_heal(), ["1"], "on disk before it bites");
        let server = fast.servers().next().unwrap();
        let scene = stage.scene();
        tokio::select! {
            bitten = fast.bite(&scene) => panic!("it was to be down for an hour: {bitten:?}"),
            () = stage.has_ended(server) => {}
        }
        stage.heals(fast).await;
        assert!(!stage.cluster().state(server).has_ended(), "{server} runs again");
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
