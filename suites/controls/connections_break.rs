//! The connection to the primary breaks between append and ack, so that everything under way is tried again: who does
//! not recognise it stores it twice.

use std::time::Duration;

use chaos_checkers::Rule;
use chaos_faults::{Inject, RedisTarget, ReplicationDelay};
use chaos_workload::{ContentSize, FanOut};

use super::caught;
use crate::{
    stage::Stage,
    verdict::{Close, Judged},
    warm::{Set, play},
};

/// The time between append and ack in which connections can break.
const DELAY: Duration = Duration::from_millis(100);
const BREAKS: u32 = 4;

#[test]
fn appends_without_deduplication_are_caught() {
    play(caught(Rule::R4, &["--broken", "no_dedupe"], connections_break));
}

#[test]
fn what_is_tried_again_is_stored_once() {
    play(async {
        let exercised = Close::exercising(&[Rule::R1, Rule::R4, Rule::R6, Rule::R12]);
        connections_break(Set::usual(), exercised).await.must_pass();
    });
}

async fn connections_break(set: Set, close: Close) -> Judged {
    let mut stage = Stage::set(set).await;
    let content = ContentSize { least: 24, most: 60 };
    let load = FanOut { rooms: 6, members_per_room: 6, sends_per_second: 90, content, ..FanOut::default() };
    let load = stage.steady(&load, Duration::from_secs(2)).await;
    let room = load.busiest_room();
    let primary = stage.primary_of(&room).await;
    let slow = ReplicationDelay { redis: RedisTarget::PrimaryOfRoom(room), delay: DELAY };

    let slowed = stage.inject(Inject::ReplicationDelay(slow), Some(&load)).await;
    for _ in 0..BREAKS {
        stage.until_acked_everywhere(&load).await;
        stage.break_connections(primary, "normal").await;
    }
    stage.until_acked_everywhere(&load).await;
    stage.heal(slowed).await;

    stage.close(load, close).await
}
