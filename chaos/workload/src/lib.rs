//! Who is using it? Open-loop users over `system-client` that record every operation.
//!
//! Deliberately absent: any opinion on what was recorded (`chaos-checkers`), and any fault but those that users
//! themselves make: they leave, come back and cut their own connections.

mod content;
mod fan_out;
mod schedule;
mod span;
mod spread;

pub use content::intact;
pub use fan_out::{Churn, ContentSize, FanOut, Spacing, SpanRates};
