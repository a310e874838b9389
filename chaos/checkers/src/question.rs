//! What a run was meant to show, and what the harness measured beside the history: `question.json` of a run.

use std::collections::BTreeSet;

use chaos_observe::{At, Late};
use serde::{Deserialize, Serialize};

use crate::Rule;

/// All that [`judge`](crate::judge) needs beside the history. Written into the run directory, so that the run can be
/// judged again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub contract: Contract,
    /// Rules that the run must exercise, or its verdict is unknown.
    pub exercises: BTreeSet<Rule>,
    #[serde(default)]
    pub budgets: Budgets,
    #[serde(default)]
    pub faults: Vec<FaultSeen>,
    #[serde(default)]
    pub promotions: Vec<Promotion>,
    #[serde(default)]
    pub measured: Vec<Measured>,
    /// Pairs of node and room for which not even a canary could be sent after heal.
    #[serde(default)]
    pub unreached: Vec<NodeRoom>,
    /// What kept the end of the run from being recorded whole, in words. What is missing could hide anything.
    #[serde(default)]
    pub incomplete: Vec<String>,
    #[serde(default)]
    pub telemetry: Telemetry,
    /// The worst lag of the harness itself; past 100 ms times that were measured while it was late are in doubt.
    #[serde(default)]
    pub own_lag_ms: u64,
    /// When it was late by more than that. A record with such a lag and without this was late at any time.
    #[serde(default)]
    pub late: Vec<Late>,
    /// For how long nodes keep history.
    pub history_window_ms: u64,
}

impl Question {
    pub fn of(contract: Contract) -> Question {
        Question {
            contract,
            exercises: BTreeSet::new(),
            budgets: Budgets::default(),
            faults: Vec::new(),
            promotions: Vec::new(),
            measured: Vec::new(),
            unreached: Vec::new(),
            incomplete: Vec::new(),
            telemetry: Telemetry::default(),
            own_lag_ms: 0,
            late: Vec::new(),
            history_window_ms: 600_000,
        }
    }
}

/// What the system promises. Rules 1, 7, 8, 10, 11 and 12 are outside `AtMostOnce`; 8, 10, 11 and 12 also need a
/// system with offsets, which the history shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// contract.md: what is acknowledged reaches every member once and in one order.
    AckedIsDurable,
    /// Plain Socket.IO: no history, no order across nodes, a member that is away misses what is said.
    AtMostOnce,
}

impl Contract {
    /// Whether the contract promises what the rule says; a system without offsets may still not be able to.
    pub fn promises(self, rule: Rule) -> bool {
        let durable = [Rule::R1, Rule::R7, Rule::R8, Rule::R10, Rule::R11, Rule::R12];
        self == Contract::AckedIsDurable || !durable.contains(&rule)
    }
}

/// In milliseconds; what is `None` is not judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// From a canary's first attempt (canaries are sent after heal) to its receipt by every member then connected.
    pub canary_ms: Option<u64>,
    /// 99 % of acks, from the intended time of their message.
    pub ack_p99_ms: Option<u64>,
    /// 99 % of owed deliveries, likewise.
    pub delivery_p99_ms: Option<u64>,
}

/// A fault as it was injected. Without evidence that it bit, the verdict is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSeen {
    pub id: String,
    pub kind: String,
    pub target: String,
    pub on: At,
    /// `None`: until the end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<At>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// A replica that had to take over a shard. `earliest` and `latest` are what the engine's formula allows from the
/// fault on, with no failed election.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    pub shard: String,
    pub killed_at: At,
    /// `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_at: Option<At>,
    /// Seen in the epochs; each may cost max(4 × node timeout, 4 s) more.
    #[serde(default)]
    pub failed_elections: u32,
    pub node_timeout_ms: u64,
    pub earliest_ms: u64,
    pub latest_ms: u64,
    /// How the two were derived, for people.
    pub formula: String,
}

/// Anything else with a budget that the harness measured: detect, recover, converge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// `acks back after the promotion of shard 2`
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    pub from: At,
    /// `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<At>,
    pub latest_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeRoom {
    pub node: String,
    pub room: String,
}

/// Whether the spans that should be there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    pub received: u64,
    /// Expected and not there.
    pub missing: u64,
    /// Expected, not there, and possibly lost with a killed process: outside the limit.
    pub excused: u64,
    /// The most that may be missing.
    pub limit: u64,
}

impl Telemetry {
    pub(crate) fn is_missing(&self) -> bool {
        self.missing > self.limit
    }
}
