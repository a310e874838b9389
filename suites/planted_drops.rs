//! A message that is dropped on purpose is missed, and the anomaly says how far that very message came.

use chaos_checkers::Rule;
use chaos_observe::spans::Hop;
use chaos_workload::{ContentSize, FanOut, Targets};

use crate::{
    stage::Stage,
    verdict::{Close, Judged},
    wait::eventually,
    warm::{Set, play},
};

/// One message in so many is dropped.
const EVERY: u64 = 20;
const ENOUGH: u64 = 150;

/// Acknowledged, and taken out of the log again: nobody ever reads it.
#[test]
fn a_drop_after_the_append_is_named() {
    play(async {
        let judged = chat_with(&["--broken", &format!("drop_after_append={EVERY}")], |_| {}).await;
        named(judged, Rule::R12, (Hop::Ack, Hop::Bell));
    });
}

/// In the log, and passed over by whoever listens.
#[test]
fn a_drop_at_the_bell_is_named() {
    play(async {
        let judged = chat_with(&["--broken", &format!("drop_bell={EVERY}")], |_| {}).await;
        named(judged, Rule::R1, (Hop::Bell, Hop::Read));
    });
}

/// Read, and handed to no session.
#[test]
fn a_drop_on_fan_out_is_named() {
    play(async {
        let judged = chat_with(&["--broken", &format!("drop_fanout={EVERY}")], |_| {}).await;
        named(judged, Rule::R1, (Hop::Read, Hop::FanOut));
    });
}

/// Handed to everyone's session, and lost by each client once.
#[test]
fn a_drop_at_the_client_is_named() {
    play(async {
        let judged = chat_with(&[], |targets| targets.drop_received = Some(EVERY)).await;
        named(judged, Rule::R1, (Hop::FanOut, Hop::Receive));
    });
}

/// What correct nodes pass: without this the others would prove nothing.
#[test]
fn nothing_is_missed_when_nothing_is_dropped() {
    play(async {
        let judged = chat_with(&[], |_| {}).await;
        assert!(judged.examples(Rule::R1).is_empty() && judged.examples(Rule::R12).is_empty());
        judged.must_pass();
    });
}

async fn chat_with(flags: &[&str], change: impl FnOnce(&mut Targets)) -> Judged {
    let stage = Stage::set(Set { traces: true, ..Set::usual().flags(flags) }).await;
    let content = ContentSize { least: 24, most: 60 };
    let load = FanOut { rooms: 3, members_per_room: 6, sends_per_second: 60, content, ..FanOut::default() };
    let mut targets = stage.targets();
    change(&mut targets);
    // With drops nothing is ever steady, so wait for acks only.
    let load = load.start(targets, stage.seed, stage.clock, stage.recorder.clone(), stage.spans.clone()).await;
    let load = load.unwrap_or_else(|error| panic!("{error}"));
    eventually("acks", async || (load.counts().acked >= ENOUGH).then_some(())).await;
    stage.close(load, if flags.is_empty() { Close::exercising(&[]) } else { Close::broken() }).await
}

/// Each anomaly of the rule has its message's trace, and what a report prints of it names the last hop and the one that
/// was never reached: another pair for each drop.
fn named(judged: Judged, rule: Rule, (last, never): (Hop, Hop)) {
    let examples = judged.examples(rule).to_vec();
    for anomaly in &examples {
        let told = judged.last_hop(anomaly).map(|hop| hop.told(true)).unwrap_or_default();
        let expected = (format!("{} on chat-", last.span()), format!("(it never came to {})", never.span()));
        assert!(
            told.starts_with(&expected.0) && told.ends_with(&expected.1),
            "{told:?} is not {expected:?}: {}",
            judged.explain(anomaly)
        );
    }
    assert!(!examples.is_empty(), "nothing was missed: {:?}", judged.verdict.reasons);
    judged.must_fail(rule);
}
