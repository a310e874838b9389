//! Do the checkers see what they should, and nothing else? Small recorded histories, generated ones that are correct,
//! and the same with one thing broken.

mod generated;
mod lateness;
mod mutations;
mod recorded;
mod resumes;
mod verdicts;
mod world;

use std::collections::BTreeSet;

use chaos_checkers::{Contract, Question, Rule, State, Verdict, judge};
use chaos_observe::{History, Record};

/// Judged by contract.md, promising nothing in particular.
fn verdict(records: &[Record]) -> Verdict {
    judge(&History::of(records.iter().cloned()), &question())
}

fn question() -> Question {
    Question::of(Contract::AckedIsDurable)
}

fn failed(verdict: &Verdict) -> BTreeSet<Rule> {
    verdict.failed().collect()
}

/// Kinds of the examples of a rule that failed.
fn kinds(verdict: &Verdict, rule: Rule) -> BTreeSet<String> {
    assert_eq!(verdict.rules[&rule].state, State::Fail, "{rule}: {:#?}", verdict.rules[&rule]);
    verdict.rules[&rule].examples.iter().map(|anomaly| anomaly.kind.clone()).collect()
}
