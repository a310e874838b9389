//! A retry that only *reads* the dedupe key moves no replication offset, and from Redis 7.2 WAIT then answers at once:
//! the message is acked although no replica holds it.
//!
//! Replicas hear nothing any more; once every sender waits for its ack, the writers' connections break, and all that
//! they send again is known already: one room with one member a node, since anything new in the same batch would be a
//! write that the fence waits for. Then the primary dies with it.

use std::time::Duration;

use chaos_checkers::Rule;
use chaos_cluster::{EngineChoice, Version};
use chaos_faults::{Across, Carrying, Cut, Direction, Inject, Kill, RedisTarget};
use chaos_workload::{ContentSize, FanOut};

use super::caught;
use crate::{
    primary_loss::of_room,
    stage::Stage,
    verdict::{Close, Judged},
    wait::{PATIENCE, eventually, within},
    warm::{Set, play},
};

/// One a node.
const MEMBERS: u64 = 3;
/// A broken node acks within milliseconds of its new connection; a correct one never does, so this is enough.
const CORRECT: Duration = Duration::from_millis(1500);

#[test]
fn a_read_only_dedupe_hit_is_caught() {
    play(caught(Rule::R12, &["--broken", "read_only_hit"], retries_before_the_loss));
}

#[test]
fn a_hit_that_writes_is_fenced() {
    play(async { retries_before_the_loss(Set::usual(), Close::exercising(&[Rule::R1, Rule::R12])).await.must_pass() });
}

async fn retries_before_the_loss(set: Set, close: Close) -> Judged {
    let engine = EngineChoice::AtLeast(Version::new(7, 2));
    let mut stage = Stage::set(Set { engine, ..set }).await;
    let content = ContentSize { least: 24, most: 60 };
    let load = FanOut { rooms: 1, members_per_room: 3, sends_per_second: 15, content, ..FanOut::default() };
    let load = stage.steady(&load, Duration::from_secs(2)).await;
    let room = load.busiest_room();
    let primary = stage.primary_of(&room).await;
    let deaf = Cut {
        redis: RedisTarget::PrimaryOfRoom(room.clone()),
        from: Across::Replicas,
        direction: Direction::Out,
        carrying: Carrying::Replication,
    };

    let cut = stage.inject(Inject::Cut(deaf), Some(&load)).await;
    let all_wait = async || (load.counts().sent >= load.counts().acked + MEMBERS).then_some(());
    eventually("every sender waits for its ack", all_wait).await;
    let acked = load.counts().acked;
    stage.break_connections(primary, "normal").await;
    let false_acks = async || (load.counts().acked >= acked + MEMBERS).then_some(());
    let waited = if close.broken { PATIENCE } else { CORRECT };
    within(waited, false_acks).await;
    let killed = stage.inject(Inject::Kill(Kill(of_room(&room))), Some(&load)).await;
    stage.until_replaced(primary, &room).await;
    stage.heal(cut).await;
    stage.heal(killed).await;
    stage.until_acked_everywhere(&load).await;

    stage.close(load, close).await
}
