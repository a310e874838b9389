//! Negative controls: one rule of the protocol broken at a time, in a scenario aimed at it.
//!
//! Random faults alone do not find these (the read-only hit: 0 of 400). So each control has its own scenario, passes
//! only when the broken node is caught by the rule that is named here, and is played with a correct node too, which
//! must pass: a scenario that fails everybody proves nothing. The breaking is done by switches of the debug node.
//! Ack without WAIT, and readers of uncommitted entries, play the scenario of `primary_loss`.

mod attached_only;
mod connections_break;
mod existence_check;
mod fast_restart;
mod lost_primary;
mod no_sweep;
mod node_cursor;
mod plain_pubsub;
mod read_only_hit;
mod stale_primary;
mod unattached_only;

use std::time::Duration;

use chaos_checkers::Rule;
use chaos_cluster::{RespValue, Server};

use crate::{
    stage::Stage,
    verdict::{Close, Judged},
    warm::Set,
};

/// Each scenario is aimed well enough to catch its broken node in nearly every try, but some need two things to meet
/// within milliseconds, which a busy machine may prevent.
const TRIES: u32 = 3;

/// Plays the scenario with a broken node until it is caught.
pub(crate) async fn caught(rule: Rule, broken: &[&str], scene: impl AsyncFn(Set, Close) -> Judged) {
    for nth in 1..=TRIES {
        let judged = scene(Set::usual().flags(broken), Close::broken()).await;
        if judged.has_failed(rule) || nth == TRIES {
            eprintln!("{broken:?}: try {nth} of {TRIES}");
            return judged.must_fail(rule);
        }
    }
}

impl Stage {
    /// The node's connections of this type break, as if something on the way had reset them.
    pub(crate) async fn break_connections(&self, server: Server, kind: &str) {
        let command = ["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"];
        match self.cluster().ask(server, &command).await {
            Ok(RespValue::Integer(broken)) if broken > 0 => {}
            other => panic!("no connection of type {kind} was broken at {server}: {other:?}"),
        }
    }

    /// The scene goes on as it is for a while.
    pub(crate) async fn goes_on_for(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
