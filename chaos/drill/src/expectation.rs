//! `--expect`: a drill that must fail, as a check that succeeds.

use std::{fmt, str::FromStr};

use chaos_checkers::{Outcome, Rule, Verdict};

use crate::{drill::Drill, exit::Exit};

/// What the person who starts a drill expects of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expectation {
    /// Nothing: the exit code is the verdict's.
    #[default]
    None,
    /// These rules fail (others may).
    Fails(Vec<Rule>),
    /// What the drill file itself declares; a pass where it declares nothing.
    Declared,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no expectation: write `declared`, or `fail:` and rules (fail:R12 or fail:R1,R12)")]
pub struct NoExpectation(String);

impl FromStr for Expectation {
    type Err = NoExpectation;

    fn from_str(text: &str) -> Result<Expectation, NoExpectation> {
        let wrong = || NoExpectation(text.to_owned());
        if text == "declared" {
            return Ok(Expectation::Declared);
        }
        let rules = text.strip_prefix("fail:").ok_or_else(wrong)?.split(',');
        let rule = |name: &str| Rule::ALL.iter().copied().find(|rule| rule.to_string() == name.trim());
        Ok(Expectation::Fails(rules.map(rule).collect::<Option<_>>().ok_or_else(wrong)?))
    }
}

impl Expectation {
    fn rules(&self, drill: &Drill) -> Vec<Rule> {
        match self {
            Expectation::None => Vec::new(),
            Expectation::Fails(rules) => rules.clone(),
            Expectation::Declared => drill.expect.fails.clone(),
        }
    }

    /// The exit code, and the sentence to say when it is not simply the verdict's.
    pub fn settle(&self, drill: &Drill, verdict: &Verdict) -> (Exit, Option<String>) {
        let rules = self.rules(drill);
        if rules.is_empty() {
            return (exit_of(verdict.outcome), None);
        }
        let names = Names(&rules);
        let held: Vec<_> =
            rules.iter().copied().filter(|rule| !verdict.failed().any(|failed| failed == *rule)).collect();
        if held.is_empty() {
            let more: Vec<_> = verdict.failed().filter(|failed| !rules.contains(failed)).collect();
            let more = if more.is_empty() { String::new() } else { format!(" (and {})", Names(&more)) };
            return (Exit::Pass, Some(format!("as expected, {names} failed{more}")));
        }
        let exit = if verdict.outcome == Outcome::Unknown { Exit::Unknown } else { Exit::Fail };
        (exit, Some(format!("{names} had to fail, but {} did not", Names(&held))))
    }
}

/// The exit code of a verdict when nothing is expected.
pub fn exit_of(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Pass => Exit::Pass,
        Outcome::Fail => Exit::Fail,
        Outcome::Unknown => Exit::Unknown,
    }
}

struct Names<'r>(&'r [Rule]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, rule) in self.0.iter().enumerate() {
            write!(f, "{}{rule}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chaos_checkers::{Numbers, RuleResult, State};

    use super::*;
    use crate::{Overrides, load};

    fn verdict(outcome: Outcome, failed: &[Rule]) -> Verdict {
        let result = |state| RuleResult { state, count: 0, examined: 1, examples: Vec::new() };
        let state = |rule: &Rule| if failed.contains(rule) { State::Fail } else { State::Pass };
        let rules: BTreeMap<_, _> = Rule::ALL.iter().map(|rule| (*rule, result(state(rule)))).collect();
        Verdict { outcome, rules, stands: BTreeSet::new(), reasons: Vec::new(), numbers: Numbers::default() }
    }

    fn exit(expected: &str, outcome: Outcome, failed: &[Rule]) -> Exit {
        let drill = load("no-fence", &Overrides::default()).expect("a sound drill");
        let expectation = if expected.is_empty() { Expectation::None } else { expected.parse().expect(expected) };
        expectation.settle(&drill, &verdict(outcome, failed)).0
    }

    #[test]
    fn without_an_expectation_the_exit_code_is_the_verdict() {
        assert_eq!(exit("", Outcome::Pass, &[]), Exit::Pass);
        assert_eq!(exit("", Outcome::Fail, &[Rule::R12]), Exit::Fail);
        assert_eq!(exit("", Outcome::Unknown, &[]), Exit::Unknown);
    }

    #[test]
    fn a_drill_that_must_fail_succeeds_when_that_rule_failed_whatever_else_did() {
        assert_eq!(exit("fail:R12", Outcome::Fail, &[Rule::R1, Rule::R12]), Exit::Pass);
        assert_eq!(exit("fail:R1,R12", Outcome::Fail, &[Rule::R12]), Exit::Fail);
        assert_eq!(exit("fail:R12", Outcome::Pass, &[]), Exit::Fail);
        assert_eq!(exit("fail:R12", Outcome::Unknown, &[]), Exit::Unknown);
        assert_eq!(exit("declared", Outcome::Fail, &[Rule::R12]), Exit::Pass);
        assert_eq!(exit("declared", Outcome::Fail, &[Rule::R1]), Exit::Fail);
    }

    #[test]
    fn what_failed_besides_is_named() {
        let drill = load("no-fence", &Overrides::default()).expect("a sound drill");
        let expectation: Expectation = "fail:R12".parse().expect("an expectation");
        let told = |failed: &[Rule]| expectation.settle(&drill, &verdict(Outcome::Fail, failed)).1.expect("a sentence");
        assert_eq!(told(&[Rule::R12]), "as expected, R12 failed");
        assert_eq!(told(&[Rule::R1, Rule::R7, Rule::R12]), "as expected, R12 failed (and R1, R7)");
    }

    #[test]
    fn what_is_no_expectation_is_refused_by_name() {
        for text in ["fail", "fail:", "fail:R99", "pass:R1", "R12"] {
            assert!(text.parse::<Expectation>().expect_err(text).to_string().contains(text));
        }
    }
}
