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
            return (Exit::Pass, Some(format!("as expected, {names} failed")));
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
