//! The loss of a replica delays acks, and for a bounded time only, however it is lost.
//!
//! One that is dead is excused as soon as a majority has flagged it. One that hangs keeps its connection, so its primary
//! counts it as attached, and WAIT could be answered by it instead of by the one that will be elected: its shard acks
//! nothing until the primary gives up the link, after `repl-timeout`.

use std::time::Duration;

use chaos_checkers::Rule;
use chaos_cluster::{Seen, Server, View, repl_timeout, slot_of_room};
use chaos_faults::{Inject, Pause, RedisTarget, Target};

use crate::{
    primary_loss::crowd,
    stage::Stage,
    verdict::Close,
    wait::{PATIENCE, within},
    warm::{Set, play},
};

/// The link's end is noticed within a second, and what has queued up goes out at the pace of one message per user.
const MARGIN: Duration = Duration::from_secs(5);

#[test]
fn acks_are_back_when_a_hung_replica_is_given_up() {
    play(async {
        let set = Set::usual();
        let node_timeout = set.redis.node_timeout;
        let allowed = repl_timeout(node_timeout) + MARGIN;
        let mut stage = Stage::set(set).await;
        let load = stage.steady(&crowd(), Duration::from_secs(2)).await;
        let room = load.busiest_room();
        let primary = stage.primary_of(&room).await;

        let target = Target::Redis(RedisTarget::ReplicaOfSlot(slot_of_room(&room)));
        let hung = stage.inject(Inject::Pause(Pause(target)), Some(&load)).await;
        let since = stage.clock.now();
        let replica: Server = stage.faults[hung].target.parse().expect("one replica");
        assert!(attached(&stage.cluster().view().await, primary, replica), "{replica} is not attached to {primary}");

        let acked = within(allowed, async || load.rooms_without_ack_since(since).is_empty().then_some(())).await;
        let without = load.rooms_without_ack_since(since);
        assert!(acked.is_some(), "no ack within {allowed:?} in {without:?}\n{}", stage.logs());
        let held_up = stage.clock.now().since(since);
        eprintln!("acks are back in every room after {held_up:.1?}");
        assert!(held_up > node_timeout * 3, "a majority's word was enough: the replica did not hold anything up");
        assert!(!attached(&stage.cluster().view().await, primary, replica), "{primary} still counts {replica}");

        stage.heal(hung).await;
        let again = |view: &View| attached(view, primary, replica);
        let level = stage.cluster().wait_for("the replica attached again", PATIENCE, again).await;
        level.unwrap_or_else(|error| panic!("{error}"));
        stage.close(load, Close::exercising(&[Rule::R1, Rule::R4, Rule::R6, Rule::R12])).await.must_pass();
    });
}

fn attached(view: &View, primary: Server, replica: Server) -> bool {
    match &view.nodes[&primary] {
        Seen::Answered(node) => node.online.contains_key(&replica),
        Seen::Silent(_) => false,
    }
}
