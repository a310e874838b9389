//! What goes wrong is said, and counted.

use std::{collections::BTreeSet, sync::atomic::Ordering::Relaxed, time::Duration};

use chaos_checkers::{Rule, State};
use chaos_observe::{Clock, Op, Recorder, SpanStore};
use chaos_workload::{FanOut, LoadError};

use crate::{
    nodes::Nodes,
    run::{DEADLINE, HOLD, Run, eventually, small},
};

const SHORT: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_load_that_gets_no_acks_is_never_steady_and_says_why() {
    let nodes = Nodes::start(2).await;
    nodes.switches.mute.store(true, Relaxed);
    let run = Run::start(&small(), nodes).await;
    let error = run.load.steady(HOLD, Duration::from_millis(200), Duration::from_secs(2)).await.unwrap_err();
    assert!(error.to_string().starts_with("not steady after 2"), "{error}");
    assert!(error.why.contains("acks or deliveries of room-00"), "{error}");
}

/// As with an event of another name: every ack comes, and nobody hears a word.
#[tokio::test]
async fn a_load_that_nobody_hears_is_never_steady_however_short_it_is_looked_at() {
    let nodes = Nodes::start(2).await;
    nodes.switches.deaf.store(true, Relaxed);
    let run = Run::start(&small(), nodes).await;
    let steady = run.load.steady(Duration::from_millis(100), DEADLINE, Duration::from_secs(1)).await;
    let why = steady.expect_err("nobody hears anything").why;
    assert!(why.contains(" acks and 0 deliveries in ") && !why.starts_with("0 acks"), "{why}");
}

#[tokio::test]
async fn what_nobody_acks_is_censored_not_absent() {
    let run = Run::steady(&small(), Nodes::start(2).await).await;
    run.nodes.switches.mute.store(true, Relaxed);
    let before = run.load.counts();
    eventually("twenty more sends", || run.load.counts().due >= before.due + 20).await;
    run.load.pause_sends();
    let error = run.load.drain(SHORT).await.unwrap_err();
    assert!(error.why.contains("wait for their ack"), "{error}");
    let left = run.leave().await;
    assert!(left.summary.acks.censored >= 20, "{:?}", left.summary);
    assert!(left.summary.acks.max.at_least);
    let mut open: BTreeSet<&String> = BTreeSet::new();
    for record in &left.records {
        match &record.op {
            Op::Send { message, .. } => drop(open.insert(message)),
            Op::SendOk { message, .. } | Op::SendInfo { message, .. } => drop(open.remove(message)),
            _ => {}
        }
    }
    assert_eq!(open, BTreeSet::new(), "what was sent is acked or known to be indeterminate");
}

#[tokio::test]
async fn a_deaf_room_is_behind_and_what_it_lacks_is_missing() {
    let run = Run::steady(&small(), Nodes::start(2).await).await;
    run.nodes.switches.deaf.store(true, Relaxed);
    let before = run.load.counts();
    eventually("acks that nobody hears of", || run.load.counts().acked >= before.acked + 40).await;
    run.load.pause_sends();
    let error = run.load.drain(SHORT).await.unwrap_err();
    assert!(error.why.contains("behind the last ack"), "{error}");
    assert_eq!(run.load.final_read(DEADLINE).await, [], "the log has what members lack");
    let left = run.leave().await;
    assert!(left.summary.counts.missing() >= 20 * 6);
    assert_eq!(left.rules(&State::Fail), [Rule::R1]);
    assert!(left.summary.deliveries.censored >= 20 * 6);
}

#[tokio::test]
async fn after_a_stall_one_can_tell_which_rooms_are_acked_again() {
    let run = Run::steady(&small(), Nodes::start(2).await).await;
    run.nodes.switches.mute.store(true, Relaxed);
    let stalled = run.clock.now();
    assert_eq!(run.load.rooms_without_ack_since(stalled).len(), 4);
    run.nodes.switches.mute.store(false, Relaxed);
    eventually("acks in every room", || run.load.rooms_without_ack_since(stalled).is_empty()).await;
}

#[tokio::test]
async fn without_offsets_nothing_is_read_back() {
    let mut nodes = Nodes::start(2).await;
    nodes.targets.offsets = false;
    let left = Run::steady(&small(), nodes).await.end().await;
    assert_eq!(left.count(|op| matches!(op, Op::Final { .. } | Op::FinalEnd { .. })), 0);
    assert_eq!(left.summary.counts.missing(), 0);
}

#[cfg(debug_assertions)]
#[tokio::test]
async fn a_planted_drop_in_the_client_is_a_missing_delivery_and_no_record() {
    let mut nodes = Nodes::start(2).await;
    nodes.targets.drop_received = Some(3);
    let run = Run::start(&small(), nodes).await;
    eventually("enough for everyone to have lost one", || run.load.counts().acked >= 60).await;
    run.load.pause_sends();
    let left = run.end().await;
    assert_eq!(left.rules(&State::Fail), [Rule::R1, Rule::R8], "lost, and skipped by those who got the next");
    assert_eq!(left.summary.counts.missing(), 24, "{:?}", left.summary.counts);
    assert_eq!(left.count(|op| matches!(op, Op::Recv { .. })), left.summary.counts.owed - 24);
}

#[tokio::test]
async fn a_load_that_cannot_be_is_refused_by_the_setting() {
    let nodes = Nodes::start(3).await;
    let load = FanOut { members_per_room: 2, ..small() };
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::create(&directory.path().join("history.jsonl")).unwrap();
    let spans = SpanStore::create(&directory.path().join("spans.jsonl")).unwrap();
    let refused = load.start(nodes.targets, 1, Clock::start(), recorder, spans).await;
    let Err(LoadError::Settings(why)) = refused else { panic!("it started") };
    assert!(why.contains("members_per_room"), "{why}");
}

#[tokio::test]
async fn who_cannot_get_in_is_named_with_the_reason() {
    let mut nodes = Nodes::start(2).await;
    nodes.targets.nodes[1].url = "ws://127.0.0.1:1".to_owned();
    nodes.targets.nodes[0].url = "ws://127.0.0.1:1".to_owned();
    let run = Run::start(&small(), nodes).await;
    let error = run.load.steady(HOLD, HOLD, SHORT).await.unwrap_err();
    assert!(error.why.contains("does not reach chat-") && error.why.contains("refused"), "{error}");
}
