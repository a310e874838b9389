//! Who is using it? Open-loop users over `system-client` that record every operation.
//!
//! Drill or test → [`FanOut::start`] → [`Load`] (verbs) → `spread` (who is where), `schedule` (when who speaks) →
//! `dispatch` (the open loop) → `user` (one task, one client) → `scribe` → history, ledgers, spans. Servers that speak
//! another language than docs/contract.md are spoken to in a [`Dialect`].
//!
//! Deliberately absent: any opinion on what was recorded (`chaos-checkers`), and any fault but those that users
//! themselves make: they leave, come back and cut their own connections.

mod canary;
mod content;
mod counts;
mod crowd;
mod dialect;
mod dispatch;
mod fan_out;
mod final_read;
mod finish;
mod history;
mod latency;
mod ledger;
mod line;
mod load;
mod sampling;
mod schedule;
mod scribe;
mod spread;
mod targets;
mod traces;
mod user;
mod waits;

pub use canary::Unreached;
pub use content::intact;
pub use counts::Counts;
pub use dialect::{Ask, Connect, Dialect, Join, Received, Say};
pub use fan_out::{Churn, ContentSize, FanOut, Spacing, SpanRates};
pub use final_read::Unread;
pub use finish::Summary;
pub use latency::{Latencies, Quantile};
pub use load::{Load, LoadError};
pub use sampling::Sampling;
pub use targets::{Node, Targets, Tokens};
pub use waits::NotYet;
