//! Members come back while others chat, and catching up takes its time: who hands live entries to everyone by the
//! node's cursor skips what such a member has yet to be sent.

use std::time::Duration;

use chaos_checkers::Rule;
use chaos_faults::{Inject, RedisTarget, ReplicationDelay};
use chaos_workload::{Churn, ContentSize, FanOut};

use super::caught;
use crate::{
    stage::Stage,
    verdict::{Close, Judged},
    wait::eventually,
    warm::{Set, play},
};

/// A page of history is proven by a fence, so it takes at least as long.
const DELAY: Duration = Duration::from_millis(100);
/// So many connections must have been lost under the delay: one return is not enough, for nobody may have said
/// anything while that member was away.
const LOST: u64 = 14;

#[test]
fn fan_out_by_the_nodes_cursor_is_caught() {
    play(caught(Rule::R10, &["--broken", "node_cursor"], come_and_go));
}

#[test]
fn who_comes_back_amid_live_messages_gets_them_in_order() {
    play(async {
        let exercised = Close::exercising(&[Rule::R1, Rule::R4, Rule::R8, Rule::R10]);
        come_and_go(Set::usual(), exercised).await.must_pass();
    });
}

async fn come_and_go(set: Set, close: Close) -> Judged {
    let mut stage = Stage::set(set).await;
    let churn = Churn {
        leavers_per_room: 1,
        leave_every: Duration::from_millis(1500),
        away: Duration::from_millis(600),
        cutters_per_room: 6,
        cut_every: Duration::from_millis(900),
    };
    let content = ContentSize { least: 24, most: 60 };
    let load = FanOut { rooms: 1, members_per_room: 9, sends_per_second: 50, content, churn, ..FanOut::default() };
    let load = stage.steady(&load, Duration::from_secs(2)).await;
    let slow = ReplicationDelay { redis: RedisTarget::PrimaryOfRoom(load.busiest_room()), delay: DELAY };

    let slowed = stage.inject(Inject::ReplicationDelay(slow), Some(&load)).await;
    let enough = stage.recorder.live().downs + LOST;
    let lost = async || (stage.recorder.live().downs >= enough).then_some(());
    eventually("members that come back", lost).await;
    stage.heal(slowed).await;

    stage.close(load, close).await
}
