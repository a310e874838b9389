//! How rules, promises, evidence and telemetry become one outcome, and how budgets are judged.

use std::collections::BTreeSet;

use chaos_checkers::{
    Budgets, Contract, FaultSeen, Measured, NodeRoom, Outcome, Promotion, Question, Rule, State, Telemetry, Verdict,
    judge,
};
use chaos_observe::{At, Content, History, Offset, Op, Record};

use crate::{
    question,
    world::{self, Step, World},
};

fn calm() -> History {
    History::of(World::run(3, &[]))
}

fn judged(question: &Question) -> Verdict {
    judge(&calm(), question)
}

fn promotion(took_ms: Option<u64>, failed_elections: u32) -> Promotion {
    let killed_at = At::from_millis(1000);
    Promotion {
        shard: "2".to_owned(),
        killed_at,
        promoted_at: took_ms.map(|ms| At(killed_at.0 + ms * 1000)),
        failed_elections,
        node_timeout_ms: 1000,
        earliest_ms: 1500,
        latest_ms: 4200,
        formula: "timeout + …".to_owned(),
    }
}

#[test]
fn a_promised_rule_that_nothing_exercised_is_unknown_elsewhere_it_is_said() {
    let verdict = judged(&question());
    assert_eq!((verdict.outcome, &verdict.rules[&Rule::R10].state), (Outcome::Pass, &State::NotExercised));
    let verdict = judged(&Question { exercises: BTreeSet::from([Rule::R10]), ..question() });
    assert_eq!(verdict.outcome, Outcome::Unknown);
    assert!(verdict.reasons[0].starts_with("R10"), "{:?}", verdict.reasons);
}

#[test]
fn a_rule_outside_the_contract_is_outside_the_merge_unless_it_was_promised() {
    let at_most_once = Question::of(Contract::AtMostOnce);
    let verdict = judged(&at_most_once);
    assert_eq!((verdict.outcome, &verdict.rules[&Rule::R12].state), (Outcome::Pass, &State::NotApplicable));
    let verdict = judged(&Question { exercises: BTreeSet::from([Rule::R12]), ..at_most_once });
    assert_eq!(verdict.outcome, Outcome::Unknown);
}

#[test]
fn a_fault_without_evidence_makes_it_unknown() {
    let fault = |evidence: Option<&str>| FaultSeen {
        id: "1".to_owned(),
        kind: "kill".to_owned(),
        target: "redis-2".to_owned(),
        on: At(1),
        off: None,
        evidence: evidence.map(str::to_owned),
    };
    let seen = Question { faults: vec![fault(Some("the process is gone"))], ..question() };
    assert_eq!(judged(&seen).outcome, Outcome::Pass);
    let unseen = Question { faults: vec![fault(None)], ..question() };
    assert_eq!(judged(&unseen).outcome, Outcome::Unknown);
    assert_eq!(judged(&unseen).reasons, ["nothing shows that fault 1 (kill of redis-2) bit"]);
}

#[test]
fn telemetry_missing_past_its_limit_makes_it_unknown() {
    let missing = |missing| Telemetry { received: 100, missing, excused: 50, limit: 3 };
    assert_eq!(judged(&Question { telemetry: missing(3), ..question() }).outcome, Outcome::Pass);
    assert_eq!(judged(&Question { telemetry: missing(4), ..question() }).outcome, Outcome::Unknown);
}

#[test]
fn promotions_are_judged_by_the_formula_both_ways() {
    for (took, failed, expected) in [
        (Some(1500), 0, None),
        (Some(4200), 0, None),
        (Some(4201), 0, Some("too slow")),
        (Some(8200), 1, None),
        (Some(8201), 1, Some("too slow")),
        (Some(1499), 0, Some("too fast")),
        (None, 0, Some("never")),
    ] {
        let verdict = judged(&Question { promotions: vec![promotion(took, failed)], ..question() });
        let kind = verdict.rules[&Rule::R14].examples.first().map(|anomaly| anomaly.kind.as_str());
        assert_eq!(kind, expected, "{took:?} after {failed} failed elections");
    }
    let mut slow = promotion(Some(13_000), 1);
    slow.node_timeout_ms = 2500;
    assert_eq!(judged(&Question { promotions: vec![slow], ..question() }).outcome, Outcome::Pass);
}

#[test]
fn a_lagging_harness_makes_budgets_alone_unknown() {
    let late = Question { promotions: vec![promotion(None, 0)], own_lag_ms: 101, ..question() };
    let verdict = judged(&late);
    assert_eq!(verdict.outcome, Outcome::Unknown);
    assert!(matches!(&verdict.rules[&Rule::R14].state, State::Unknown(why) if why.contains("101 ms")));
    assert_eq!(verdict.rules[&Rule::R1].state, State::Pass);
    assert_eq!(judged(&Question { own_lag_ms: 100, ..late }).outcome, Outcome::Fail);
}

#[test]
fn an_unknown_verdict_says_which_rules_on_safety_stand() {
    let late = Question { promotions: vec![promotion(Some(2000), 0)], own_lag_ms: 156, ..question() };
    let say = |user| Step::Say { user, room: 0, outcome: world::Outcome::Acked };
    let records = World::run(3, &[say(0), say(0), say(1), say(0)]);
    let verdict = judge(&History::of(records.clone()), &late);
    let safety = [Rule::R1, Rule::R4, Rule::R6, Rule::R7, Rule::R8, Rule::R12];
    assert_eq!(verdict.stands, BTreeSet::from(safety));
    let claim = "nothing acknowledged was lost, doubled or reordered (R1, R4, R6, R7, R8, R12 stand)";
    assert_eq!(verdict.standing().as_deref(), Some(claim));
    let plain = Question { contract: Contract::AtMostOnce, ..late.clone() };
    let claim = "nothing acknowledged was doubled or reordered (R4, R6 stand)";
    assert_eq!(judge(&History::of(records), &plain).standing().as_deref(), Some(claim));
    // Nobody sent twice, so nothing is said of order.
    let claim = "nothing acknowledged was lost or doubled (R1, R4, R12 stand)";
    assert_eq!(judged(&late).standing().as_deref(), Some(claim));
    // Whoever doubts the faults or the telemetry doubts it all; and other outcomes speak for themselves.
    let telemetry = Telemetry { received: 1, missing: 2, excused: 0, limit: 1 };
    for other in [Question { telemetry, ..late.clone() }, Question { own_lag_ms: 0, ..late }] {
        assert_eq!(judged(&other).standing(), None, "{:?}", judged(&other).outcome);
    }
}

#[test]
fn a_lagging_harness_says_nothing_of_a_run_without_budgets_unless_they_were_promised() {
    let late = Question { own_lag_ms: 101, ..question() };
    let verdict = judged(&late);
    assert_eq!((verdict.outcome, &verdict.rules[&Rule::R14].state), (Outcome::Pass, &State::NotExercised));
    let verdict = judged(&Question { exercises: BTreeSet::from([Rule::R14]), ..late });
    assert_eq!(verdict.outcome, Outcome::Unknown);
}

#[test]
fn what_the_harness_measured_is_held_to_its_budget() {
    let measured = |to: Option<u64>| Measured {
        name: "acks back".to_owned(),
        fault: Some("1".to_owned()),
        from: At::from_millis(10),
        to: to.map(At::from_millis),
        latest_ms: 500,
    };
    for (to, outcome) in [(Some(510), Outcome::Pass), (Some(511), Outcome::Fail), (None, Outcome::Fail)] {
        let question = Question { measured: vec![measured(to)], ..question() };
        assert_eq!(judged(&question).outcome, outcome, "{to:?}");
    }
}

#[test]
fn latencies_are_judged_with_what_never_came() {
    let budgets = Budgets { delivery_p99_ms: Some(60_000), ..Budgets::default() };
    let question = Question { budgets, ..question() };
    let mut records = World::run(3, &[]);
    assert_eq!(judge(&History::of(records.clone()), &question).rules[&Rule::R14].state, State::Pass);
    let receipt = records.iter().position(|record| matches!(record.op, Op::Recv { .. })).unwrap();
    records.remove(receipt);
    let verdict = judge(&History::of(records), &question);
    assert_eq!(verdict.rules[&Rule::R14].state, State::Fail);
    assert!(verdict.rules[&Rule::R14].examples[0].detail.contains("at least"));
}

#[test]
fn fail_beats_unknown_beats_pass_and_failures_are_told_first() {
    let mut records = World::run(3, &[]);
    let receipt = records.iter().position(|record| matches!(record.op, Op::Recv { .. })).unwrap();
    records.insert(receipt, records[receipt].clone());
    let question = Question { exercises: BTreeSet::from([Rule::R10]), ..question() };
    let verdict = judge(&History::of(records), &question);
    assert_eq!(verdict.outcome, Outcome::Fail);
    assert!(verdict.reasons[0].starts_with("R4") && verdict.reasons[1].starts_with("R10"), "{:?}", verdict.reasons);
}

#[test]
fn a_canary_that_comes_late_is_late_and_one_that_was_never_acked_is_stuck() {
    let records = World::run(3, &[]);
    let budgets = Budgets { canary_ms: Some(0), ..Budgets::default() };
    let mut late = records.clone();
    late.iter_mut().filter(|record| matches!(record.op, Op::Recv { .. })).for_each(|record| record.at.0 += 5000);
    let verdict = judge(&History::of(late), &Question { budgets, ..question() });
    assert_eq!(verdict.rules[&Rule::R13].examples[0].kind, "late");
    let stuck = records.into_iter().filter(|record| !matches!(record.op, Op::SendOk { .. }));
    let verdict = judge(&History::of(stuck), &question());
    assert_eq!(verdict.rules[&Rule::R13].examples[0].kind, "stuck");
}

#[test]
fn a_room_that_not_even_a_canary_could_enter_is_not_reached() {
    let unreached = vec![NodeRoom { node: "chat-3".to_owned(), room: "r0".to_owned() }];
    let verdict = judged(&Question { unreached, ..question() });
    let example = &verdict.rules[&Rule::R13].examples[0];
    assert_eq!((example.kind.as_str(), example.node.as_deref()), ("not reached", Some("chat-3")));
}

#[test]
fn a_run_whose_end_was_not_recorded_whole_claims_nothing() {
    let incomplete = vec!["members of r0 are not joined".to_owned()];
    let verdict = judged(&Question { incomplete, ..question() });
    assert_eq!((verdict.outcome, verdict.stands.len()), (Outcome::Unknown, 0));
    assert_eq!(verdict.reasons, ["the record is incomplete: members of r0 are not joined"]);
}

#[test]
fn counts_are_complete_and_examples_few_the_worst_first() {
    let mut records = World::run(3, &[]);
    let at = records.iter().position(|record| matches!(record.op, Op::Recv { .. })).unwrap();
    let receipt = records[at].clone();
    for nth in 0..40 {
        let mut again = receipt.clone();
        if let Op::Recv { hidden, .. } = &mut again.op {
            *hidden = nth != 20;
        }
        records.insert(at + 1, again);
    }
    let result = &judge(&History::of(records), &question()).rules[&Rule::R4];
    assert_eq!((result.count, result.examples.len()), (40, 5));
    assert!(result.examples[0].detail.contains("shown to the user"));
    assert!(result.examples[1..].iter().all(|anomaly| anomaly.detail.contains("hid it")));
}

#[test]
fn a_question_comes_back_from_its_text() {
    let question = Question {
        exercises: BTreeSet::from([Rule::R1, Rule::R14]),
        promotions: vec![promotion(Some(2000), 1)],
        budgets: Budgets { canary_ms: Some(5000), ..Budgets::default() },
        ..question()
    };
    let text = serde_json::to_string_pretty(&question).unwrap();
    assert_eq!(serde_json::from_str::<Question>(&text).unwrap(), question);
    assert!(text.contains("\"acked_is_durable\"") && text.contains("\"R14\""), "{text}");
}

#[test]
fn an_empty_history_exercises_nothing() {
    let verdict = judge(&History::default(), &question());
    assert_eq!(verdict.outcome, Outcome::Pass);
    let exercised = verdict.rules.values().filter(|result| result.state == State::Pass);
    assert_eq!(exercised.count(), 0);
}

#[test]
fn a_message_is_refused_only_if_every_attempt_was() {
    #[derive(Clone, Copy)]
    enum Answer {
        Ok,
        Fail,
        Info,
        /// The run ended first.
        Nothing,
    }
    let user = |op| Record { at: At(1), user: "u".to_owned(), op };
    let (message, room, content) = (|| "m".to_owned(), || "r".to_owned(), Content(1));
    let judged = |answers: &[Answer]| {
        let mut records = vec![user(Op::Join { room: room(), offset: None })];
        let (start, recovered) = (Some(Offset(1)), true);
        records.push(user(Op::JoinOk { room: room(), offset: start, head: start, recovered }));
        for (attempt, answer) in (1..).zip(answers) {
            records.push(user(Op::Send {
                message: message(),
                room: room(),
                attempt,
                intended: At(0),
                content,
                canary: false,
            }));
            records.extend(match answer {
                Answer::Ok => Some(user(Op::SendOk { message: message(), offset: Some(Offset(2)) })),
                Answer::Fail => Some(user(Op::SendFail { message: message(), code: "rate_limited".to_owned() })),
                Answer::Info => Some(user(Op::SendInfo { message: message(), why: "timed out".to_owned() })),
                Answer::Nothing => None,
            });
        }
        let (sender, offset) = ("u".to_owned(), Offset(2));
        let (replay, hidden) = (false, false);
        let of_message = Some(offset);
        records.push(user(Op::Recv {
            room: room(),
            message: message(),
            sender: sender.clone(),
            offset: of_message,
            content,
            replay,
            hidden,
        }));
        records.push(user(Op::Final { room: room(), message: message(), sender, offset, content }));
        records.push(user(Op::FinalEnd { room: room(), head: offset }));
        let verdict = judge(&History::of(records), &question());
        let numbers = &verdict.numbers;
        let fate = (numbers.acked, numbers.refused, numbers.indeterminate);
        (fate, verdict.failed().collect::<Vec<_>>())
    };
    let (acked, refused, indeterminate) = ((1, 0, 0), (0, 1, 0), (0, 0, 1));
    for (answers, fate) in [
        (&[Answer::Fail, Answer::Ok][..], acked),
        (&[Answer::Info, Answer::Ok, Answer::Fail], acked),
        (&[Answer::Info, Answer::Fail], indeterminate),
        (&[Answer::Fail, Answer::Info], indeterminate),
        (&[Answer::Fail, Answer::Nothing], indeterminate),
        (&[Answer::Nothing], indeterminate),
    ] {
        assert_eq!(judged(answers), (fate, vec![]));
    }
    assert_eq!(judged(&[Answer::Fail, Answer::Fail]), (refused, vec![Rule::R3]));
}

#[test]
fn a_sender_may_have_several_messages_unanswered_in_any_order() {
    // Both went out before either was acked: no order is promised.
    let user = |at, op| Record { at: At(at), user: "u".to_owned(), op };
    let send = |message: &str| Op::Send {
        message: message.to_owned(),
        room: "r".to_owned(),
        attempt: 1,
        intended: At(0),
        content: Content(0),
        canary: false,
    };
    let ok = |message: &str, offset| Op::SendOk { message: message.to_owned(), offset: Some(Offset(offset)) };
    let read = |message: &str, offset| Op::Final {
        room: "r".to_owned(),
        message: message.to_owned(),
        sender: "u".to_owned(),
        offset: Offset(offset),
        content: Content(0),
    };
    let log = [user(9, read("b", 1)), user(9, read("a", 2))];
    let together = [user(1, send("a")), user(1, send("b")), user(1, ok("a", 2)), user(1, ok("b", 1))];
    let verdict = judge(&History::of(together.into_iter().chain(log.clone())), &question());
    assert_eq!(verdict.rules[&Rule::R6].state, State::Pass);
    let in_turn = [user(1, send("a")), user(1, ok("a", 2)), user(1, send("b")), user(1, ok("b", 1))];
    let verdict = judge(&History::of(in_turn.into_iter().chain(log)), &question());
    assert_eq!(verdict.rules[&Rule::R6].state, State::Fail);
}
