//! Nothing goes wrong: everything that is said is heard, counted and written down.

use std::collections::{BTreeMap, BTreeSet};

use chaos_checkers::{Outcome, Rule, State};
use chaos_observe::Op;

use crate::{
    nodes::Nodes,
    run::{DEADLINE, Run, small},
};

#[tokio::test]
async fn everyone_hears_everything_and_all_of_it_is_written_down() {
    let left = Run::steady(&small(), Nodes::start(3).await).await.end().await;
    let counts = left.summary.counts;
    assert!(counts.due >= 40, "{counts:?}");
    assert_eq!((counts.sent, counts.acked, counts.owed), (counts.due, counts.due, counts.due * 6));
    assert_eq!((counts.received, counts.missing(), counts.hidden), (counts.owed, 0, 0));
    assert_eq!((counts.refused, counts.retries, counts.strangers), (0, 0, 0));
    assert_eq!(left.count(|op| matches!(op, Op::Send { attempt: 1, .. })), counts.due);
    assert_eq!(left.count(|op| matches!(op, Op::SendOk { offset: Some(_), .. })), counts.acked);
    assert_eq!(left.count(|op| matches!(op, Op::Recv { .. })), counts.received);
    assert_eq!(left.count(|op| matches!(op, Op::JoinOk { recovered: true, .. })), 24);
    assert_eq!(left.count(|op| matches!(op, Op::Down { .. })), 0, "a goodbye at the end is no end of what is owed");
    assert_eq!(left.verdict.outcome, Outcome::Pass, "{:?}", left.verdict.reasons);
    assert_eq!((left.summary.acks.count, left.summary.acks.censored), (counts.due, 0));
    assert_eq!((left.summary.deliveries.count, left.summary.deliveries.censored), (counts.owed, 0));
}

#[tokio::test]
async fn the_final_read_is_what_the_nodes_stored_in_their_order() {
    let left = Run::steady(&small(), Nodes::start(3).await).await.end().await;
    let mut read: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for record in &left.records {
        if let Op::Final { room, message, .. } = &record.op {
            read.entry(room).or_default().push(message);
        }
    }
    assert_eq!(read.len(), 4);
    for (room, messages) in read {
        assert_eq!(messages, left.nodes.stored(room), "{room}");
    }
    assert_eq!(left.count(|op| matches!(op, Op::FinalEnd { .. })), 4);
    let readers = left.records.iter().filter(|record| record.user.starts_with("reader"));
    let apart = readers.filter(|record| !matches!(record.op, Op::Final { .. } | Op::FinalEnd { .. })).count();
    assert_eq!(apart, 0, "what a reader does is no part of what users did");
}

#[tokio::test]
async fn ids_are_unique_and_intended_times_are_the_schedules() {
    let left = Run::steady(&small(), Nodes::start(2).await).await.end().await;
    let sends: Vec<_> = left
        .records
        .iter()
        .filter_map(|record| match &record.op {
            Op::Send { message, intended, .. } => Some((message, record.at, *intended)),
            _ => None,
        })
        .collect();
    assert_eq!(sends.iter().map(|(id, ..)| id).collect::<BTreeSet<_>>().len(), sends.len());
    assert!(sends.iter().all(|(id, at, intended)| intended <= at && id.len() == "u007-000123".len()));
    let times: BTreeSet<_> = sends.iter().map(|(.., intended)| intended).collect();
    assert!(times.len() > sends.len() * 9 / 10, "exponential gaps hardly ever agree to the microsecond");
}

#[tokio::test]
async fn a_messages_trace_goes_from_its_sender_to_every_member() {
    let left = Run::steady(&small(), Nodes::start(3).await).await.end().await;
    let sent: BTreeMap<_, _> =
        left.spans.iter().filter(|span| span.name == "chat.send").map(|span| (span.id, span)).collect();
    assert_eq!(sent.len() as u64, left.summary.counts.acked);
    assert!(sent.values().all(|span| span.text("outcome") == Some("acked")));
    let mut heard: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for span in left.spans.iter().filter(|span| span.name == "chat.receive") {
        let root = sent[&span.parent.unwrap()];
        assert_eq!((span.trace, span.text("message.id")), (root.trace, root.text("message.id")));
        heard.entry(root.id).or_default().insert(span.text("user").unwrap());
    }
    assert!(heard.len() == sent.len() && heard.values().all(|members| members.len() == 6));
}

#[tokio::test]
async fn after_the_heal_every_node_has_its_word_in_every_room() {
    let mut run = Run::steady(&small(), Nodes::start(3).await).await;
    assert_eq!(run.load.canaries(DEADLINE).await.unwrap(), []);
    let left = run.end().await;
    let mut canaries = BTreeSet::new();
    let mut node_of = BTreeMap::new();
    for record in &left.records {
        match &record.op {
            Op::Up { node } => drop(node_of.insert(&record.user, node)),
            Op::Send { room, canary: true, .. } => drop(canaries.insert((node_of[&record.user], room))),
            _ => {}
        }
    }
    assert_eq!(canaries.len(), 12);
    let counts = left.summary.counts;
    assert_eq!(counts.missing(), 0, "a canary is owed to everyone who stays: {counts:?}");
    assert!(left.rules(&State::Pass).contains(&Rule::R13), "{:?}", left.verdict);
}
