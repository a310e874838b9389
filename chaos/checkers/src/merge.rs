//! From what the rules found to one outcome: fail beats unknown beats pass.
//!
//! A fault without evidence that it bit, a rule that the run promised to exercise and never did, an end that was not
//! recorded whole, or telemetry that went missing makes it unknown, never pass.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Anomaly, Outcome, Question, Rule, RuleResult, State, Telemetry, Verdict,
    findings::Findings,
    verdict::{Numbers, SAFETY},
};

pub(crate) fn merge(question: &Question, found: Vec<(Rule, Findings)>, numbers: Numbers) -> Verdict {
    let mut rules = BTreeMap::new();
    for (rule, findings) in found {
        rules.insert(rule, result(findings, question.exercises.contains(&rule)));
    }
    let failures: Vec<_> = rules.iter().filter_map(|(rule, result)| failure(*rule, result)).collect();
    let doubts: Vec<_> = doubts(question, &rules);
    let outcome = match (failures.is_empty(), doubts.is_empty()) {
        (false, _) => Outcome::Fail,
        (true, false) => Outcome::Unknown,
        (true, true) => Outcome::Pass,
    };
    let stands = if outcome == Outcome::Unknown { stands(question, &rules) } else { BTreeSet::new() };
    Verdict { outcome, rules, stands, reasons: failures.into_iter().chain(doubts).collect(), numbers }
}

fn result(findings: Findings, promised: bool) -> RuleResult {
    let state = match &findings {
        Findings { outside: true, .. } if promised => {
            State::Unknown("it was to be exercised, and this contract or system does not promise it".to_owned())
        }
        Findings { outside: true, .. } => State::NotApplicable,
        Findings { count: 1.., .. } => State::Fail,
        Findings { unknown: Some(why), .. } => State::Unknown(why.clone()),
        Findings { examined: 0, .. } if promised => {
            State::Unknown("it was to be exercised, and nothing in the run could have violated it".to_owned())
        }
        Findings { examined: 0, .. } => State::NotExercised,
        _ => State::Pass,
    };
    RuleResult { state, count: findings.count, examined: findings.examined, examples: findings.into_examples() }
}

fn failure(rule: Rule, result: &RuleResult) -> Option<String> {
    let worst = result.examples.first()?;
    let named = worst.message.as_ref().map_or(String::new(), |message| format!(" {message}"));
    let times = if result.count == 1 { String::new() } else { format!(" × {}, for example", result.count) };
    let Anomaly { kind, detail, .. } = worst;
    (result.state == State::Fail).then(|| format!("{rule} ({}): {kind}{times}{named}: {detail}", rule.promise()))
}

fn doubts(question: &Question, rules: &BTreeMap<Rule, RuleResult>) -> Vec<String> {
    let of_rule = |(rule, result): (&Rule, &RuleResult)| match &result.state {
        State::Unknown(why) => Some(format!("{rule} ({}) is unknown: {why}", rule.promise())),
        _ => None,
    };
    let mut doubts: Vec<_> = rules.iter().filter_map(of_rule).collect();
    for fault in question.faults.iter().filter(|fault| fault.evidence.is_none()) {
        doubts.push(format!("nothing shows that fault {} ({} of {}) bit", fault.id, fault.kind, fault.target));
    }
    doubts.extend(question.incomplete.iter().map(|what| format!("the record is incomplete: {what}")));
    if question.telemetry.is_missing() {
        let Telemetry { missing, limit, .. } = question.telemetry;
        doubts.push(format!("{missing} spans are missing, more than the limit of {limit}"));
    }
    doubts
}

/// A claim needs all of its rules, but for those outside the contract; and a run whose faults, record or telemetry are in
/// doubt claims nothing.
fn stands(question: &Question, rules: &BTreeMap<Rule, RuleResult>) -> BTreeSet<Rule> {
    let unproven = question.faults.iter().any(|fault| fault.evidence.is_none());
    if unproven || !question.incomplete.is_empty() || question.telemetry.is_missing() {
        return BTreeSet::new();
    }
    let state = |rule: &Rule| rules.get(rule).map(|result| &result.state);
    let holds = |rule: &Rule| matches!(state(rule), Some(State::Pass | State::NotApplicable));
    let claims = SAFETY.into_iter().filter(|(_, of)| of.iter().all(holds)).flat_map(|(_, of)| of);
    claims.filter(|rule| state(rule) == Some(&State::Pass)).copied().collect()
}
