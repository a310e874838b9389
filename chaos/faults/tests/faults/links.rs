//! Links that are late or cut.

use std::time::Duration;

use chaos_faults::{Across, Carrying, Cut, Direction, RedisTarget, ReplicationDelay, Sign};

use crate::stage::{busiest, on_stage};

fn cut(redis: RedisTarget, from: Across, direction: Direction, carrying: Carrying) -> Cut {
    Cut { redis, from, direction, carrying }
}

#[test]
fn late_replication_is_measured_at_a_replica_and_is_gone_after_the_heal() {
    on_stage(|stage| async move {
        let delay = ReplicationDelay { redis: busiest(), delay: Duration::from_millis(150) };
        let on = stage.bites(delay.clone(), &[Sign::ReplicationSlowed, Sign::BytesDelayed]).await;
        stage.heals(on).await;
        stage.shows_nothing(&delay).await;
    });
}

#[test]
fn an_isolated_primary_is_replaced_and_comes_back_as_a_replica() {
    on_stage(|stage| async move {
        let cut = cut(busiest(), Across::Everyone, Direction::Both, Carrying::Everything);
        let cut = stage.bites(cut, &[Sign::BytesWithheld, Sign::ReplicaPromoted]).await;
        let isolated = cut.servers().next().unwrap();
        stage.heals(cut).await;
        assert!(stage.is_replica(isolated).await);
    });
}

#[test]
fn a_replica_that_is_cut_off_the_bus_alone_still_replicates() {
    on_stage(|stage| async move {
        let cut = cut(RedisTarget::ReplicaOfBusiestRoom, Across::Redis, Direction::Both, Carrying::Bus);
        let cut = stage.bites(cut, &[Sign::BytesWithheld]).await;
        assert!(!cut.has(Sign::ReplicaPromoted));
        stage.heals(cut).await;
    });
}

#[test]
fn one_direction_and_one_side_can_be_cut() {
    on_stage(|stage| async move {
        let out = cut(busiest(), Across::Replicas, Direction::Out, Carrying::Replication);
        let out = stage.bites(out, &[Sign::BytesWithheld]).await;
        stage.heals(out).await;
        let with_one = cut(busiest(), Across::EveryoneButAReplica, Direction::Both, Carrying::Everything);
        let with_one = stage.bites(with_one, &[Sign::BytesWithheld]).await;
        stage.heals(with_one).await;
    });
}
