//! A primary is cut off together with one of its two replicas. Who asks WAIT for the attached replicas only is
//! answered by that one, and acks into a minority: the other replica is promoted without it.

use std::time::Duration;

use chaos_checkers::Rule;
use chaos_cluster::{LinkKind, Seen};

use super::caught;
use crate::{
    primary_loss::crowd,
    stage::Stage,
    verdict::{Close, Judged},
    wait::PATIENCE,
    warm::{Set, play},
};

#[test]
fn waiting_for_the_attached_only_is_caught() {
    play(caught(Rule::R12, &["--broken", "attached_only"], minority));
}

#[test]
fn a_minority_acks_nothing() {
    play(async { minority(Set::usual(), Close::exercising(&[Rule::R1, Rule::R4, Rule::R12])).await.must_pass() });
}

async fn minority(set: Set, close: Close) -> Judged {
    let stage = Stage::set(set).await;
    let load = stage.steady(&crowd(), Duration::from_secs(2)).await;
    let room = load.busiest_room();
    let primary = stage.primary_of(&room).await;
    let replicas = stage.replicas_of(primary).await;
    let (with, without) = (replicas[0], replicas[1]);

    // The one that will be promoted loses its link, and everyone sees that.
    stage.cut(&[primary], &[without], &[LinkKind::Replication]);
    stage.break_connections(primary, "replica").await;
    let detached = |view: &chaos_cluster::View| match &view.nodes[&primary] {
        Seen::Answered(node) => node.online.keys().eq([&with]),
        Seen::Silent(_) => false,
    };
    let seen = stage.cluster().wait_for("one of two replicas detached", PATIENCE, detached).await;
    seen.unwrap_or_else(|error| panic!("{error}"));
    let inside = [primary, with];
    let outside: Vec<_> = stage.redis_but(&inside);
    stage.cut(&inside, &outside, &[LinkKind::Replication, LinkKind::Bus]);
    let successor = stage.until_replaced(primary, &room).await;
    assert_eq!(successor, without, "the majority promoted somebody whom it cannot reach");
    stage.cluster().links().clear();
    stage.until_acked_everywhere(&load).await;

    stage.close(load, close).await
}
