//! A primary is cut off from all other Redis nodes, and chat nodes still reach it: it answers reads with entries that
//! will never be committed.

use std::time::Duration;

use chaos_checkers::Rule;
use chaos_faults::{Across, Carrying, Cut, Direction, Inject, RedisTarget};

use super::caught;
use crate::{
    primary_loss::crowd,
    stage::Stage,
    verdict::{Close, Judged},
    warm::{Set, play},
};

/// Two sweeps, each with a WAIT that is not answered.
const SWEPT: Duration = Duration::from_millis(1200);

#[test]
fn reads_that_believe_a_stale_primary_are_caught() {
    // What was read there is stored at another offset by the one that was promoted.
    play(caught(Rule::R5, &["--broken", "believe_stale"], cut_off));
}

#[test]
fn a_stale_primary_is_not_believed() {
    play(async {
        let exercised = Close::exercising(&[Rule::R1, Rule::R4, Rule::R5, Rule::R7, Rule::R8, Rule::R12]);
        cut_off(Set::usual(), exercised).await.must_pass();
    });
}

async fn cut_off(set: Set, close: Close) -> Judged {
    let mut stage = Stage::set(set).await;
    let load = stage.steady(&crowd(), Duration::from_secs(2)).await;
    let room = load.busiest_room();
    let primary = stage.primary_of(&room).await;
    let cut = |from, carrying| {
        let redis = RedisTarget::PrimaryOfRoom(room.clone());
        Inject::Cut(Cut { redis, from, direction: Direction::Both, carrying })
    };

    // First from its replicas: nobody replaces it yet, and what it takes in is lost.
    let unheard = stage.inject(cut(Across::Replicas, Carrying::Replication), Some(&load)).await;
    stage.goes_on_for(SWEPT).await;
    let alone = stage.inject(cut(Across::Redis, Carrying::Everything), Some(&load)).await;
    stage.until_replaced(primary, &room).await;
    stage.until_acked_everywhere(&load).await;
    stage.heal(alone).await;
    stage.heal(unheard).await;
    stage.until_acked_everywhere(&load).await;

    stage.close(load, close).await
}
