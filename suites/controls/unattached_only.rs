//! A replica that is cut off on the bus alone counts as failed, and is still attached: WAIT counts it. Who leaves the
//! attached out of k takes its answer for that of the one that will be elected.

use std::time::Duration;

use chaos_checkers::Rule;
use chaos_cluster::{LinkKind, Role, Seen, Server, View};
use chaos_faults::{Inject, Kill};

use super::caught;
use crate::{
    primary_loss::{crowd, of_room},
    stage::Stage,
    verdict::{Close, Judged},
    wait::PATIENCE,
    warm::{Set, play},
};

const DELAY: Duration = Duration::from_millis(300);

#[test]
fn leaving_the_attached_out_is_caught() {
    play(caught(Rule::R12, &["--broken", "unattached_only"], stand_in));
}

#[test]
fn nobody_stands_in_for_the_one_that_will_be_elected() {
    play(async { stand_in(Set::usual(), Close::exercising(&[Rule::R1, Rule::R4, Rule::R12])).await.must_pass() });
}

async fn stand_in(set: Set, close: Close) -> Judged {
    let mut stage = Stage::set(set).await;
    let load = stage.steady(&crowd(), Duration::from_secs(2)).await;
    let room = load.busiest_room();
    let primary = stage.primary_of(&room).await;
    let replicas = stage.replicas_of(primary).await;
    let (electable, flagged) = (replicas[0], replicas[1]);

    stage.cut(&[flagged], &stage.redis_but(&[flagged]), &[LinkKind::Bus]);
    let seen =
        stage.cluster().wait_for("a replica flagged as failed", PATIENCE, |view| everywhere(view, flagged)).await;
    seen.unwrap_or_else(|error| panic!("{error}"));
    stage.delay(primary, electable, DELAY);
    stage.until_acked_everywhere(&load).await;
    let killed = stage.inject(Inject::Kill(Kill(of_room(&room))), Some(&load)).await;
    let successor = stage.until_replaced(primary, &room).await;
    assert_eq!(successor, electable, "one was elected that nobody can hear");
    stage.cluster().links().clear();
    stage.heal(killed).await;
    stage.until_acked_everywhere(&load).await;

    stage.close(load, close).await
}

/// Every primary flags it.
fn everywhere(view: &View, flagged: Server) -> bool {
    let mut primaries = view.nodes.values().filter_map(|seen| match seen {
        Seen::Answered(node) if node.role == Role::Primary => Some(node),
        _ => None,
    });
    primaries.all(|node| node.peers.get(&flagged).is_some_and(|peer| peer.failed))
}
