//! Small recorded histories from `fixtures/histories`, each about one thing.

use std::{collections::BTreeSet, path::Path};

use chaos_checkers::{Anomaly, Contract, Outcome, Question, Rule, State, Verdict, judge};
use chaos_observe::History;

use crate::{failed, kinds};

fn judged(name: &str) -> Verdict {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/histories").join(name).with_extension("jsonl");
    let history = History::load(&path).unwrap_or_else(|error| panic!("{error}"));
    judge(&history, &Question::of(Contract::AckedIsDurable))
}

fn example(verdict: &Verdict, rule: Rule) -> &Anomaly {
    &verdict.rules[&rule].examples[0]
}

#[test]
fn a_run_through_a_node_kill_that_is_right_passes() {
    let verdict = judged("node-kill");
    assert_eq!(verdict.outcome, Outcome::Pass, "{:#?}", verdict.reasons);
    for rule in Rule::ALL.into_iter().filter(|rule| ![Rule::R11, Rule::R14].contains(rule)) {
        assert_eq!(verdict.rules[&rule].state, State::Pass, "{rule}");
    }
    let numbers = &verdict.numbers;
    // ann and cid owe five each; bob's slices are two, then none of what was said while he was away, then one.
    assert_eq!((numbers.owed, numbers.missing, numbers.received), (14, 0, 14));
    assert_eq!((numbers.sent, numbers.acked, numbers.refused, numbers.attempts), (6, 5, 1, 7));
    assert_eq!((numbers.sessions, numbers.resumed), (7, 3));
}

#[test]
fn three_members_who_agree_in_pairs_can_still_have_no_common_order() {
    let verdict = judged("three-cycle");
    assert_eq!(failed(&verdict), BTreeSet::from([Rule::R7]));
    let cycle = example(&verdict, Rule::R7);
    assert_eq!(cycle.kind, "order cycle");
    for step in ["ann saw a then b", "bob saw b then c", "cid saw c then a"] {
        assert!(cycle.detail.contains(step), "{}", cycle.detail);
    }
}

#[test]
fn a_deaf_node_is_named_with_all_that_it_lost() {
    let verdict = judged("deaf-node");
    assert_eq!(failed(&verdict), BTreeSet::from([Rule::R1, Rule::R13]));
    let loss = &verdict.rules[&Rule::R1];
    // Three messages and the canary, at two members.
    assert_eq!((loss.count, loss.examined, loss.examples.len()), (8, 30, 4));
    assert_eq!(kinds(&verdict, Rule::R1), BTreeSet::from(["lost on a node".to_owned()]));
    assert!(loss.examples.iter().all(|anomaly| anomaly.node.as_deref() == Some("chat-2")));
    assert_eq!(verdict.numbers.acked_lost, 4);
    let deaf = example(&verdict, Rule::R13);
    assert_eq!((deaf.kind.as_str(), deaf.node.as_deref()), ("deaf", Some("chat-2")));
    assert_eq!((verdict.rules[&Rule::R13].count, verdict.rules[&Rule::R13].examined), (1, 3));
    // 8 of 30 never came.
    assert!(verdict.numbers.deliveries.p90.at_least && !verdict.numbers.deliveries.p50.at_least);
}

#[test]
fn what_a_promotion_took_is_lost_from_the_log_not_on_the_way() {
    let verdict = judged("promotion-loss");
    assert_eq!(failed(&verdict), BTreeSet::from([Rule::R11, Rule::R12]));
    assert_eq!(verdict.rules[&Rule::R12].count, 2);
    // What nobody saw is worse than what someone did.
    let lost: Vec<_> = verdict.rules[&Rule::R12].examples.iter().map(|lost| lost.message.as_deref()).collect();
    assert_eq!(lost, [Some("ann-3"), Some("ann-2")]);
    let vanished = example(&verdict, Rule::R11);
    assert_eq!((vanished.kind.as_str(), vanished.message.as_deref()), ("vanished from the log", Some("cid-1")));
    // Of the two that were acked by the old primary only bob saw one, and nobody else is owed it.
    assert_eq!(verdict.rules[&Rule::R1].state, State::Pass);
}

#[test]
fn without_offsets_only_what_was_said_while_away_is_a_leak() {
    let verdict = judged("leave-without-offsets");
    assert_eq!(failed(&verdict), BTreeSet::from([Rule::R9]));
    let leak = &verdict.rules[&Rule::R9];
    assert_eq!((leak.count, leak.examined), (1, 1));
    assert_eq!(leak.examples[0].message.as_deref(), Some("m2"));
    assert_eq!(leak.examples[0].member.as_deref(), Some("bob"));
}
