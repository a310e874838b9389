//! Whoever was on a chat node that goes, in whatever way, comes back on another and has missed nothing.

use std::time::Duration;

use chaos_checkers::Rule;
use chaos_faults::{Inject, Kill, Target, Terminate};
use chaos_workload::{ContentSize, FanOut};

use crate::{
    stage::Stage,
    verdict::Close,
    warm::{Set, play},
};

const BOUND: Duration = Duration::from_secs(2);
pub(crate) const PROMISED: [Rule; 6] = [Rule::R1, Rule::R4, Rule::R6, Rule::R8, Rule::R10, Rule::R12];

fn crowd() -> FanOut {
    let content = ContentSize { least: 24, most: 60 };
    FanOut { rooms: 6, members_per_room: 9, sends_per_second: 120, content, ..FanOut::default() }
}

#[test]
fn members_of_a_killed_node_resume_on_another() {
    play(members_move_on(Inject::Kill(Kill(Target::Chat(2)))));
}

#[test]
fn a_drain_on_sigterm_loses_nobody() {
    play(members_move_on(Inject::Terminate(Terminate(Target::Chat(2)))));
}

async fn members_move_on(loss: Inject) {
    let mut stage = Stage::set(Set::usual()).await;
    let load = stage.steady(&crowd(), BOUND).await;
    let before = load.counts();

    let lost = stage.inject(loss, Some(&load)).await;
    stage.until_acked_everywhere(&load).await;
    stage.heal(lost).await;

    assert!(load.counts().downs >= before.downs + 18, "a third of 54 users lost its connection: {:?}", load.counts());
    stage.close(load, Close::exercising(&PROMISED)).await.must_pass();
}
