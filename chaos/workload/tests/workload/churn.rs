//! Users that come and go.

use std::{collections::BTreeSet, sync::atomic::Ordering::Relaxed, time::Duration};

use chaos_checkers::{Outcome, Rule, State};
use chaos_observe::Op;
use chaos_workload::{Churn, FanOut};

use crate::{
    nodes::Nodes,
    run::{Run, eventually, small},
};

fn restless() -> FanOut {
    let churn = Churn {
        leavers_per_room: 1,
        leave_every: Duration::from_millis(300),
        away: Duration::from_millis(100),
        cutters_per_room: 1,
        cut_every: Duration::from_millis(400),
    };
    FanOut { churn, sends_per_second: 400, ..small() }
}

/// So seldom that on a busy machine, too, each is in again before it leaves the next time: otherwise it skips a turn.
fn seldom() -> FanOut {
    let load = restless();
    let churn = Churn { leave_every: Duration::from_secs(1), ..load.churn };
    FanOut { churn, ..load }
}

#[tokio::test]
async fn who_leaves_comes_back_by_turns_with_and_without_an_offset() {
    come_and_go(Nodes::start(3).await).await;
}

/// Longer than a user is away: it resumes from where it left this time, not the time before.
#[tokio::test]
async fn who_learns_late_where_it_left_resumes_from_there() {
    let nodes = Nodes::start(3).await;
    nodes.switches.slow_to_answer_leaves.store(true, Relaxed);
    come_and_go(nodes).await;
}

/// Who is refused has nothing to leave there, and tries again the next time.
#[tokio::test]
async fn who_is_refused_comes_back_all_the_same() {
    let run = Run::steady(&restless(), Nodes::start(3).await).await;
    // Twice each of the four, so that some were to resume and some were not.
    run.nodes.switches.refusals.store(8, Relaxed);
    eventually("all refusals", || run.nodes.switches.refusals.load(Relaxed) == 0).await;
    let due = run.load.counts().due;
    eventually("time to leave four times more", || run.load.counts().due > due + 500).await;
    let left = run.end().await;
    let mut outside = BTreeSet::new();
    for record in &left.records {
        match record.op {
            Op::Leave { .. } => drop(outside.insert(&record.user)),
            Op::JoinOk { .. } => drop(outside.remove(&record.user)),
            _ => {}
        }
    }
    assert_eq!(outside, BTreeSet::new(), "who left last and did not come back");
}

async fn come_and_go(nodes: Nodes) {
    let run = Run::steady(&seldom(), nodes).await;
    eventually("time to leave three times", || run.load.counts().due > 1200).await;
    let left = run.end().await;
    let leavers: BTreeSet<_> =
        left.records.iter().filter(|record| matches!(record.op, Op::Leave { .. })).map(|record| &record.user).collect();
    assert_eq!(leavers.len(), 4, "one of each room");
    assert_eq!(left.verdict.outcome, Outcome::Pass, "{:?}", left.verdict.reasons);
    assert!([Rule::R9, Rule::R10].iter().all(|rule| left.rules(&State::Pass).contains(rule)), "both are exercised");
    for leaver in leavers {
        let of_it: Vec<_> = left.records.iter().filter(|record| record.user == *leaver).collect();
        let resumed: Vec<bool> = of_it
            .iter()
            .filter_map(|record| match &record.op {
                Op::Join { offset, .. } => Some(offset.is_some()),
                _ => None,
            })
            .collect();
        assert!(resumed.len() >= 3, "{leaver}: {resumed:?}");
        assert_eq!(resumed[..3], [false, false, true], "{leaver}");
        let last = of_it.iter().rev().find(|record| matches!(record.op, Op::Leave { .. } | Op::JoinOk { .. }));
        assert!(last.is_some_and(|record| matches!(record.op, Op::JoinOk { .. })), "{leaver} is in at the end");
    }
}

#[tokio::test]
async fn who_cuts_its_connection_resumes_and_misses_nothing() {
    let run = Run::steady(&restless(), Nodes::start(3).await).await;
    eventually("cuts of everyone", || run.load.counts().downs >= 8).await;
    let left = run.end().await;
    let cut = |op: &Op| matches!(op, Op::Down { why } if why.contains("reset"));
    assert!(left.count(cut) >= 8, "{} resets", left.count(cut));
    assert!(left.count(|op| matches!(op, Op::Join { offset: Some(_), .. })) >= 8);
    let cutters: BTreeSet<_> =
        left.records.iter().filter(|record| cut(&record.op)).map(|record| &record.user).collect();
    assert_eq!(cutters.len(), 4, "one of each room");
    assert_eq!(left.verdict.outcome, Outcome::Pass, "{:?}", left.verdict.reasons);
    for cutter in cutters {
        let heard: BTreeSet<_> = left
            .records
            .iter()
            .filter_map(|record| match &record.op {
                Op::Recv { message, room, .. } if record.user == *cutter => Some((room, message)),
                _ => None,
            })
            .collect();
        let (room, _) = heard.first().expect("it heard something");
        assert_eq!(heard.len(), left.nodes.stored(room).len(), "{cutter} in {room}");
    }
}
