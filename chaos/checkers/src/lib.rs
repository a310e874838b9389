//! Was it right? Records in, verdict out.
//!
//! [`judge`] holds a run's history against what was promised ([`Question`]) and says, rule by rule, what was violated,
//! by which message, at which member ([`Verdict`]). It does no I/O and never waits, so any stored run can be judged
//! again with the same result. Deliberately absent: traces of anomalies (the drill joins them), signals (R15 comes with
//! its own issue), and every thought about what should be done.

mod facts;
mod findings;
mod judge;
mod latency;
mod lateness;
mod merge;
mod numbers;
mod question;
mod rule;
mod rules;
mod verdict;

pub use judge::judge;
pub use question::{Budgets, Contract, FaultSeen, Measured, NodeRoom, Promotion, Question, Telemetry};
pub use rule::Rule;
pub use verdict::{Anomaly, Latency, Numbers, Outcome, Quantile, RuleResult, State, Verdict};
