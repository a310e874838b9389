//! What came out: `verdict.json` of a run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use chaos_observe::{At, Offset};
use serde::{Deserialize, Serialize};

use crate::Rule;

/// Fail beats unknown beats pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Pass,
    Unknown,
    Fail,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    pub outcome: Outcome,
    pub rules: BTreeMap<Rule, RuleResult>,
    /// Of an unknown outcome, what may be claimed all the same: rules about lost, doubled and reordered messages that
    /// passed. Empty when a fault lacks evidence, or when the record's end or telemetry is missing: then nothing may be
    /// claimed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stands: BTreeSet<Rule>,
    /// Why the outcome is not pass, one sentence each, the failures first.
    pub reasons: Vec<String>,
    pub numbers: Numbers,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Pass,
    Fail,
    /// It cannot be said, and why.
    Unknown(String),
    /// Nothing in the run could have violated it.
    NotExercised,
    /// The contract, or a system without offsets, does not promise it.
    NotApplicable,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleResult {
    pub state: State,
    /// All violations.
    pub count: u64,
    /// How often the rule could have been violated.
    pub examined: u64,
    /// At most five, the worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Anomaly>,
}

/// One violation. What does not apply to it is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anomaly {
    pub rule: Rule,
    /// `lost at a member`, `order cycle`
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Who should or should not have received it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Where that member was connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
    /// When it was received; for what is missing, when it was acknowledged, else sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// The rest, for people.
    pub detail: String,
}

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    pub records: u64,
    pub users: u64,
    pub rooms: u64,
    pub sent: u64,
    pub attempts: u64,
    pub acked: u64,
    pub refused: u64,
    pub indeterminate: u64,
    /// Of the indeterminate, those that are in the log all the same.
    pub indeterminate_stored: u64,
    /// Owed deliveries, and those of them that never came.
    pub owed: u64,
    pub missing: u64,
    /// Acked messages of which at least one owed delivery never came.
    pub acked_lost: u64,
    /// Receipts on the wire.
    pub received: u64,
    pub replayed: u64,
    pub hidden: u64,
    pub duplicates: u64,
    pub sessions: u64,
    pub resumed: u64,
    /// From the intended time to the first ack.
    pub acks: Latency,
    /// From the intended time to each owed delivery.
    pub deliveries: Latency,
}

/// Times in microseconds. What never came counts as longer than anything that did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    pub came: u64,
    pub never_came: u64,
    pub p50: Quantile,
    pub p90: Quantile,
    pub p99: Quantile,
    pub p999: Quantile,
    pub max: Quantile,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantile {
    pub us: u64,
    /// So many never came that the quantile is only known to be at least this.
    pub at_least: bool,
}

impl Anomaly {
    pub(crate) fn new(rule: Rule, kind: &str, detail: String) -> Anomaly {
        Anomaly {
            rule,
            kind: kind.to_owned(),
            message: None,
            room: None,
            sender: None,
            member: None,
            node: None,
            offset: None,
            at: None,
            detail,
        }
    }
}

/// What can happen to an acknowledged message, and the rules that together say it did not.
pub(crate) const SAFETY: [(&str, &[Rule]); 3] =
    [("lost", &[Rule::R1, Rule::R12]), ("doubled", &[Rule::R4]), ("reordered", &[Rule::R6, Rule::R7, Rule::R8])];

impl Verdict {
    /// [`Verdict::stands`] in words: `nothing acknowledged was lost, doubled or reordered (R1, R4 stand)`.
    pub fn standing(&self) -> Option<String> {
        let stand = |rules: &[Rule]| rules.iter().any(|rule| self.stands.contains(rule));
        let verbs: Vec<_> = SAFETY.iter().filter(|(_, rules)| stand(rules)).map(|(verb, _)| *verb).collect();
        let (last, others) = verbs.split_last()?;
        let verbs = if others.is_empty() { (*last).to_owned() } else { format!("{} or {last}", others.join(", ")) };
        let rules: Vec<_> = self.stands.iter().map(Rule::to_string).collect();
        let stand = if rules.len() == 1 { "stands" } else { "stand" };
        Some(format!("nothing acknowledged was {verbs} ({} {stand})", rules.join(", ")))
    }

    /// Rules that failed.
    pub fn failed(&self) -> impl Iterator<Item = Rule> {
        self.rules.iter().filter(|(_, result)| result.state == State::Fail).map(|(rule, _)| *rule)
    }
}

/// `12.3 ms`, `at least 400.0 ms`
impl fmt::Display for Quantile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = if self.at_least { "at least " } else { "" };
        write!(out, "{least}{:.1} ms", self.us as f64 / 1e3)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Outcome::Pass => "pass",
            Outcome::Unknown => "unknown",
            Outcome::Fail => "fail",
        })
    }
}
