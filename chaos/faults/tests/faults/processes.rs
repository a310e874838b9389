//! Processes that die, go or hang.

use std::time::Duration;

use chaos_faults::{Kill, Pause, RedisTarget, ReplicationDelay, Sign, Target, Terminate};

use crate::stage::{busiest, on_stage};

#[test]
fn a_killed_primary_takes_unfenced_writes_with_it_when_its_replication_is_late() {
    on_stage(|stage| async move {
        let delay = ReplicationDelay { redis: busiest(), delay: Duration::from_millis(200) };
        let mut delay = chaos_faults::Inject::from(delay).inject("0", &stage.scene()).await.unwrap();
        assert_eq!(delay.missing(), [], "{:#?}", delay.evidence);
        let kill = chaos_faults::Inject::from(Kill(Target::Redis(busiest())));
        let mut kill = kill.inject("1", &stage.scene()).await.unwrap();
        assert_eq!(kill.missing(), [Sign::WritesLost], "nobody can know before a replica is promoted");
        stage.until_shown(&mut kill, &[Sign::ReplicaPromoted, Sign::WritesLost]).await;
        kill.heal(&stage.scene()).await.unwrap();
        delay.heal(&stage.scene()).await.unwrap();
        stage.is_well().await;
    });
}

#[test]
fn a_killed_primary_is_replaced_and_comes_back_as_a_replica() {
    on_stage(|stage| async move {
        let kill = stage.bites(Kill(Target::Redis(busiest())), &[Sign::ProcessGone, Sign::ReplicaPromoted]).await;
        assert!(!kill.has(Sign::WritesLost), "without a delay nothing is lost, and nothing is claimed");
        let killed = kill.servers().next().unwrap();
        stage.heals(kill).await;
        assert!(stage.is_replica(killed).await);
    });
}

#[test]
fn a_killed_replica_is_gone_and_nobody_is_promoted() {
    on_stage(|stage| async move {
        let kill = stage.bites(Kill(Target::Redis(RedisTarget::ReplicaOfSlot(0))), &[Sign::ProcessGone]).await;
        assert!(!kill.has(Sign::ReplicaPromoted));
        stage.heals(kill).await;
    });
}

#[test]
fn all_replicas_of_a_shard_are_gone_at_once() {
    on_stage(|stage| async move {
        let kill =
            stage.bites(Kill(Target::Redis(RedisTarget::AllReplicasOfBusiestPrimary)), &[Sign::ProcessGone]).await;
        assert_eq!(kill.servers().count(), 1, "one replica each, here");
        stage.heals(kill).await;
    });
}

#[test]
fn a_terminated_replica_goes_and_comes_back() {
    on_stage(|stage| async move {
        let replica = Target::Redis(RedisTarget::ReplicaOfBusiestRoom);
        let terminate = stage.bites(Terminate(replica), &[Sign::ProcessGone]).await;
        stage.heals(terminate).await;
    });
}

#[test]
fn a_hung_primary_is_replaced_and_wakes_up() {
    on_stage(|stage| async move {
        let pause = stage.bites(Pause(Target::Redis(busiest())), &[Sign::ProcessStopped, Sign::ReplicaPromoted]).await;
        stage.heals(pause).await;
    });
}

#[test]
fn chat_nodes_die_go_and_hang_too() {
    on_stage(|stage| async move {
        let chat = || Target::Chat(1);
        let kill = stage.bites(Kill(chat()), &[Sign::ProcessGone]).await;
        stage.heals(kill).await;
        let terminate = stage.bites(Terminate(chat()), &[Sign::ProcessGone]).await;
        stage.heals(terminate).await;
        let pause = stage.bites(Pause(chat()), &[Sign::ProcessStopped]).await;
        stage.heals(pause).await;
    });
}

#[test]
fn who_is_not_there_is_not_hit() {
    on_stage(|stage| async move {
        let nobody = chaos_faults::Inject::from(Kill(Target::Chat(9))).inject("1", &stage.scene()).await;
        assert_eq!(nobody.unwrap_err().to_string(), "chat-9 is not running");
        assert_eq!(stage.to_heal(), Vec::<String>::new());
    });
}
