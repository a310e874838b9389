//! What did we see? One clock, and everything that was seen on it: the history of users, the journal of the harness,
//! spans, metrics, logs; all of it in one run directory.
//!
//! It decides nothing: whether what was seen is right is said by `chaos-checkers`, and what to do next by
//! `chaos-drill`.

mod clock;
pub mod history;
pub mod journal;
mod lag;
pub mod length;
mod lines;
mod logs;
pub mod metrics;
mod run_dir;
mod scrub;
pub mod spans;

pub use clock::{At, Clock};
pub use history::{Content, History, Offset, Op, Record, Recorder};
pub use journal::Journal;
pub use lag::{Lag, Late};
pub use length::Length;
pub use lines::LinesError;
pub use logs::tail;
pub use run_dir::{RunDir, RunDirError};
pub use scrub::Scrubber;
pub use spans::{Span, SpanStore};
