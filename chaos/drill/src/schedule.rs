//! What really happened, as far as the harness did it or measured it: `schedule.toml`.
//!
//! The plan says roles and times that were wanted; this says which process was hit when, what proved it, who was
//! promoted, and what is missing. Rewritten whenever it changes, so that an aborted run leaves it too. With the plan,
//! the history and the spans it is all that judging needs; the journal tells the same as a log.

use std::collections::BTreeMap;

use chaos_checkers::NodeRoom;
use chaos_observe::{At, Late};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Every user had joined; times in reports count from here.
    pub load_began: Option<At>,
    /// No new sends from here on.
    pub load_ended: Option<At>,
    /// Why the run ended before its end.
    pub stopped: Option<String>,
    /// What kept the last steps (drain, final read) from being complete: the verdict is unknown then, or fail.
    pub incomplete: Vec<String>,
    /// The largest time by which the harness itself was late, in milliseconds.
    pub own_lag_ms: u64,
    pub spans_received: u64,
    /// Spans that should be there and never came.
    pub spans_missing: u64,
    /// Spans that never came and that a killed process may have held.
    pub spans_excused: u64,
    /// The run's zero in Unix time, to place spans on the run's clock.
    pub began_unix_ns: u64,
    /// The shard that each room's log lies on, by its number.
    pub rooms: BTreeMap<String, u32>,
    /// When the harness was late by more than 100 ms.
    pub late: Vec<Late>,
    /// Rooms that nobody could join on a node after heal, so that not even a canary could be sent.
    pub unreached: Vec<NodeRoom>,
    pub faults: Vec<FaultSeen>,
    pub promotions: Vec<PromotionSeen>,
    pub roles: Vec<RoleSeen>,
}

/// One injected fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSeen {
    pub id: String,
    pub kind: String,
    /// The role that the plan names.
    pub role: String,
    /// The processes that were hit.
    pub target: String,
    pub on: At,
    pub off: Option<At>,
    /// What showed that it bit, in words.
    pub evidence: Vec<String>,
    /// Signs that it needed and never showed: without them the verdict is unknown.
    pub missing: Vec<String>,
}

/// The loss of a primary, and who took its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromotionSeen {
    /// Of the fault.
    pub fault: String,
    pub shard: u32,
    pub slot: u16,
    pub from: String,
    pub to: Option<String>,
    pub killed_at: At,
    /// A survivor flagged it as failed.
    pub detected_at: Option<At>,
    /// A survivor named another primary for the slot.
    pub promoted_at: Option<At>,
    /// Epochs that passed without a promotion.
    pub failed_elections: u32,
}

/// From `at` on, `server` has this role (`primary`, `replica`, `down`) on this shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleSeen {
    pub at: At,
    pub server: String,
    pub role: String,
    pub shard: Option<u32>,
    pub epoch: u64,
}

impl Schedule {
    /// The faults that were on at `at`, a moment of grace included for what they leave behind.
    pub(crate) fn faults_at(&self, at: At) -> impl Iterator<Item = &FaultSeen> {
        self.faults.iter().filter(move |fault| fault.on <= at && fault.off.is_none_or(|off| at <= off))
    }
}
