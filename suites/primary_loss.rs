//! Acknowledged messages survive the loss of a Redis primary, however it is lost.
//!
//! Replication out of it is delayed, and what is under way is lost with it: without the delay a killed process loses
//! nothing on one machine, and the scenario would prove nothing. The fault itself shows that un-fenced writes were lost.

use std::time::Duration;

use chaos_checkers::Rule;
use chaos_faults::{Inject, Kill, Pause, RedisTarget, ReplicationDelay, Target};
use chaos_workload::{ContentSize, FanOut};

use crate::{
    stage::Stage,
    verdict::{Close, Judged},
    warm::{Set, play},
};

const DELAY: Duration = Duration::from_millis(200);
const BOUND: Duration = Duration::from_secs(2);
const PROMISED: [Rule; 8] = [Rule::R1, Rule::R2, Rule::R4, Rule::R5, Rule::R6, Rule::R7, Rule::R8, Rule::R12];

/// As many users as keep messages in flight on every shard, at a rate that one in flight per user and room allows.
pub(crate) fn crowd() -> FanOut {
    let content = ContentSize { least: 24, most: 60 };
    FanOut { rooms: 12, members_per_room: 6, sends_per_second: 130, content, ..FanOut::default() }
}

#[test]
fn acked_messages_survive_primary_loss() {
    play(async { lose_primary(Set::usual(), Close::exercising(&PROMISED)).await.must_pass() });
}

/// Hung, then awake as a primary that has been replaced.
#[test]
fn acked_messages_survive_primary_pause() {
    play(async {
        let mut stage = Stage::set(Set::usual()).await;
        let load = stage.steady(&crowd(), BOUND).await;
        let room = load.busiest_room();
        let primary = stage.primary_of(&room).await;

        let hung = stage.inject(Inject::Pause(Pause(of_room(&room))), Some(&load)).await;
        stage.until_replaced(primary, &room).await;
        stage.until_acked_everywhere(&load).await;
        stage.heal(hung).await;
        stage.until_acked_everywhere(&load).await;

        stage.close(load, Close::exercising(&PROMISED)).await.must_pass();
    });
}

/// Also what `--fence none` and readers of uncommitted entries must fail.
pub(crate) async fn lose_primary(set: Set, close: Close) -> Judged {
    let mut stage = Stage::set(set).await;
    let load = stage.steady(&crowd(), BOUND).await;
    let room = load.busiest_room();
    let primary = stage.primary_of(&room).await;
    let slow = ReplicationDelay { redis: RedisTarget::PrimaryOfRoom(room.clone()), delay: DELAY };

    let slowed = stage.inject(Inject::ReplicationDelay(slow), Some(&load)).await;
    stage.until_acked_everywhere(&load).await;
    let killed = stage.inject(Inject::Kill(Kill(of_room(&room))), Some(&load)).await;
    stage.until_replaced(primary, &room).await;
    stage.until_acked_everywhere(&load).await;
    stage.heal(killed).await;
    stage.heal(slowed).await;

    stage.close(load, close).await
}

pub(crate) fn of_room(room: &str) -> Target {
    Target::Redis(RedisTarget::PrimaryOfRoom(room.to_owned()))
}
