//! Times that were measured while the harness itself was late: judged as far as that could not change the verdict.

use std::{collections::BTreeSet, time::Duration};

use chaos_checkers::{Budgets, Measured, Outcome, Promotion, Question, Rule, State, Verdict, judge};
use chaos_observe::{At, History, Late, Op, Record};

use crate::{question, world::World};

/// Late from … to, in milliseconds.
type Stretch = (u64, u64);

fn late(stretches: &[Stretch]) -> Vec<Late> {
    let late =
        |(from, to): &Stretch| Late { from: At::from_millis(*from), to: At::from_millis(*to), worst_ms: to - from };
    stretches.iter().map(late).collect()
}

/// Ends at 10 s.
fn history() -> History {
    let mut records = World::run(3, &[]);
    records.push(Record {
        at: At::from_millis(10_000),
        user: "u0".to_owned(),
        op: Op::Leave { room: "r0".to_owned() },
    });
    History::of(records)
}

fn judged(asked: Question, stretches: &[Stretch]) -> Verdict {
    let late = late(stretches);
    let own_lag_ms = late.iter().map(|late| late.worst_ms).max().unwrap_or_default();
    judge(&history(), &Question { own_lag_ms, late, ..asked })
}

fn outcome(asked: &Question, stretches: &[Stretch]) -> Outcome {
    judged(asked.clone(), stretches).outcome
}

/// From 1 s on, with a budget of 500 ms.
fn acks_back(took_ms: Option<u64>) -> Question {
    let measured = Measured {
        name: "acks back".to_owned(),
        fault: Some("1".to_owned()),
        from: At::from_millis(1000),
        to: took_ms.map(|ms| At::from_millis(1000 + ms)),
        latest_ms: 500,
    };
    Question { measured: vec![measured], ..question() }
}

/// From 1 s on; allowed are 1500 to 4200 ms.
fn promotion(took_ms: Option<u64>) -> Question {
    let promotion = Promotion {
        shard: "2".to_owned(),
        killed_at: At::from_millis(1000),
        promoted_at: took_ms.map(|ms| At::from_millis(1000 + ms)),
        failed_elections: 0,
        node_timeout_ms: 1000,
        earliest_ms: 1500,
        latest_ms: 4200,
        formula: "timeout + …".to_owned(),
    };
    Question { promotions: vec![promotion], ..question() }
}

#[test]
fn lateness_at_another_time_does_not_matter() {
    let elsewhere = [(0, 150), (2000, 2300)];
    assert_eq!(outcome(&acks_back(Some(500)), &elsewhere), Outcome::Pass);
    assert_eq!(outcome(&acks_back(Some(501)), &elsewhere), Outcome::Fail);
}

#[test]
fn a_time_within_its_budget_holds_although_it_was_noted_late() {
    assert_eq!(outcome(&acks_back(Some(500)), &[(1300, 1510)]), Outcome::Pass);
    assert_eq!(outcome(&promotion(Some(2000)), &[(2700, 3010)]), Outcome::Pass);
}

#[test]
fn a_budget_broken_by_less_than_the_lateness_is_unknown_by_more_it_is_broken() {
    // 150 ms and 60 ms of the measured time.
    let meanwhile = [(1100, 1250), (1600, 1800)];
    for (took, expected) in [(660, Outcome::Unknown), (710, Outcome::Unknown), (711, Outcome::Fail)] {
        let meanwhile = [meanwhile[0], (1000 + took - 60, 1000 + took + 90)];
        assert_eq!(outcome(&acks_back(Some(took)), &meanwhile), expected, "{took} ms");
    }
    assert_eq!(outcome(&acks_back(Some(501)), &[]), Outcome::Fail);
    let verdict = judged(acks_back(Some(600)), &meanwhile[..1]);
    let words = [
        "times cannot be judged: acks back: after 600 ms; allowed: 500 ms",
        "the harness was late by 150 ms meanwhile, so it may have been 450 to 600 ms",
    ];
    let State::Unknown(why) = &verdict.rules[&Rule::R14].state else { panic!("{verdict:#?}") };
    assert!(words.iter().all(|words| why.contains(words)), "{why}");
}

#[test]
fn a_beginning_that_was_noted_late_may_hide_a_broken_budget() {
    // The promotion that acks are counted from may have been seen 120 ms late.
    let begun = [(880, 1010)];
    for (took, expected) in
        [(380, Outcome::Pass), (381, Outcome::Unknown), (510, Outcome::Unknown), (511, Outcome::Fail)]
    {
        assert_eq!(outcome(&acks_back(Some(took)), &begun), expected, "{took} ms");
    }
}

#[test]
fn a_kill_is_noted_before_it_is_done_so_only_its_end_is_in_doubt() {
    let at_the_kill = [(800, 1100)];
    for (took, expected) in [
        (1499, Outcome::Fail),
        (1500, Outcome::Unknown),
        (1599, Outcome::Unknown),
        (1600, Outcome::Pass),
        (4200, Outcome::Pass),
        (4201, Outcome::Unknown),
        (4300, Outcome::Unknown),
        (4301, Outcome::Fail),
    ] {
        assert_eq!(outcome(&promotion(Some(took)), &at_the_kill), expected, "{took} ms");
    }
}

#[test]
fn what_never_came_is_broken_unless_too_little_time_was_left_for_it() {
    // 9 s were waited.
    for asked in [acks_back(None), promotion(None)] {
        assert_eq!(outcome(&asked, &[(3000, 4000)]), Outcome::Fail);
        assert_eq!(outcome(&asked, &[(1000, 9700)]), Outcome::Unknown);
        assert_eq!(outcome(&asked, &[]), Outcome::Fail);
    }
    let mut patient = acks_back(None);
    patient.measured[0].latest_ms = 20_000;
    assert_eq!(outcome(&patient, &[(0, 900)]), Outcome::Fail);
    assert_eq!(outcome(&patient, &[(2000, 2900)]), Outcome::Unknown);
}

#[test]
fn a_percentile_is_granted_all_lateness_of_the_run() {
    let mut records = World::run(3, &[]);
    let ack = |record: &&mut Record| matches!(record.op, Op::SendOk { .. });
    records.iter_mut().filter(ack).for_each(|record| record.at = record.at.plus(Duration::from_millis(600)));
    let history = History::of(records);
    let p99 = judge(&history, &question()).numbers.acks.p99.us.div_ceil(1000);
    assert!((600..650).contains(&p99), "{p99} ms");
    let outcome = |budget, stretches: &[Stretch]| {
        let budgets = Budgets { ack_p99_ms: Some(budget), ..Budgets::default() };
        judge(&history, &Question { budgets, own_lag_ms: 120, late: late(stretches), ..question() }).outcome
    };
    // 240 ms in all.
    let run = [(100, 220), (3000, 3120)];
    assert_eq!(outcome(p99, &run), Outcome::Pass);
    assert_eq!(outcome(p99 - 1, &run), Outcome::Unknown);
    assert_eq!(outcome(p99 - 240, &run), Outcome::Unknown);
    assert_eq!(outcome(p99 - 241, &run), Outcome::Fail);
}

#[test]
fn a_record_that_does_not_say_when_was_late_at_any_time() {
    let untold = |asked: Question| judge(&history(), &Question { own_lag_ms: 101, ..asked }).outcome;
    for asked in [acks_back(Some(100)), acks_back(Some(5000)), acks_back(None), promotion(Some(2000))] {
        assert_eq!(untold(asked), Outcome::Unknown);
    }
}

#[test]
fn a_doubt_does_not_hide_what_is_certain() {
    let mut asked = acks_back(Some(600));
    asked.promotions = promotion(Some(5000)).promotions;
    let mut later = acks_back(Some(600));
    later.measured.extend(acks_back(Some(5000)).measured);
    assert_eq!(outcome(&later, &[(1500, 1700)]), Outcome::Fail);
    let verdict = judged(asked.clone(), &[(1500, 1700)]);
    assert_eq!(verdict.failed().collect::<BTreeSet<_>>(), BTreeSet::from([Rule::R14]));
    asked.promotions = promotion(Some(3000)).promotions;
    assert_eq!(outcome(&asked, &[(1500, 1700)]), Outcome::Unknown);
}

/// And the first canary's id, and when it was sent.
fn with_canary() -> (Vec<Record>, String, At) {
    let records = World::run(3, &[]);
    let sent = records.iter().find_map(|record| match &record.op {
        Op::Send { message, canary: true, .. } => Some((message.clone(), record.at)),
        _ => None,
    });
    let (canary, at) = sent.expect("a canary");
    (records, canary, at)
}

fn canary_within_500_ms() -> Question {
    Question { budgets: Budgets { canary_ms: Some(500), ..Budgets::default() }, own_lag_ms: 150, ..question() }
}

#[test]
fn a_canary_that_was_late_by_less_than_the_harness_is_in_doubt() {
    let (mut records, canary, sent) = with_canary();
    let receipt = |record: &&mut Record| matches!(&record.op, Op::Recv { message, .. } if *message == canary);
    records.iter_mut().filter(receipt).for_each(|record| record.at = sent.plus(Duration::from_millis(600)));
    records.sort_by_key(|record| record.at);
    let history = History::of(records);
    let state = |stretches: &[Stretch]| {
        let asked = Question { late: late(stretches), ..canary_within_500_ms() };
        judge(&history, &asked).rules[&Rule::R13].state.clone()
    };
    assert_eq!(state(&[(5000, 5150)]), State::Fail);
    assert_eq!(state(&[(300, 399)]), State::Fail);
    let told = format!("canary {canary} may have been late for");
    assert!(matches!(state(&[(300, 450)]), State::Unknown(why) if why.contains(&told)), "{told}");
}

/// Were the harness in time, the connections may have been lost before the canary was due.
#[test]
fn a_canary_is_in_doubt_when_connections_were_lost_about_when_it_was_due() {
    let (mut records, canary, sent) = with_canary();
    records.retain(|record| !matches!(&record.op, Op::Recv { message, .. } if *message == canary));
    let users: BTreeSet<_> = records.iter().map(|record| record.user.clone()).collect();
    records
        .retain(|record| record.at <= sent || matches!(&record.op, Op::SendOk { message, .. } if *message == canary));
    let at = sent.plus(Duration::from_millis(520));
    records.extend(users.into_iter().map(|user| Record { at, user, op: Op::Down { why: "closed".to_owned() } }));
    let history = History::of(records);
    let state = |stretches: &[(At, At)]| {
        let late = stretches.iter().map(|(from, to)| Late { from: *from, to: *to, worst_ms: 150 }).collect();
        judge(&history, &Question { late, ..canary_within_500_ms() }).rules[&Rule::R13].clone()
    };
    let elsewhere = At::from_millis(60_000);
    let certain = state(&[(elsewhere, elsewhere.plus(Duration::from_millis(150)))]);
    assert!(certain.examples.iter().any(|example| example.kind == "deaf"), "{certain:?}");
    let doubtful = state(&[(sent.plus(Duration::from_millis(400)), at)]);
    assert!(doubtful.examples.iter().all(|example| !example.kind.starts_with("deaf")), "{doubtful:?}");
    assert!(matches!(&doubtful.state, State::Unknown(why) if why.contains(&canary)), "{doubtful:?}");
}

#[test]
fn a_canary_that_never_came_is_no_matter_of_lateness() {
    let (mut records, canary, _) = with_canary();
    records.retain(|record| !matches!(&record.op, Op::Recv { message, .. } if *message == canary));
    // Everybody was there for long enough.
    records.retain(|record| !matches!(record.op, Op::Leave { .. } | Op::LeaveOk { .. } | Op::Down { .. }));
    let history = History::of(records);
    for stretches in [late(&[]), late(&[(0, 450)])] {
        let verdict = judge(&history, &Question { late: stretches, ..canary_within_500_ms() });
        assert_eq!(verdict.rules[&Rule::R13].examples[0].kind, "deaf");
    }
}
