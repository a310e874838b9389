//! Everything that users did and saw: one line each in `history.jsonl`, and the same in memory for the checkers.
//!
//! [`Record`] is the line, [`Recorder`] writes lines as a run goes, [`History`] is what is judged: names are numbers
//! there, and the receipts of one member in one room are one sequence. Deliberately absent: any opinion. What a resumed
//! session owes, or which messages count as acknowledged, is the checkers' business.

mod memory;
mod names;
mod order;
mod record;
mod recorder;
mod text;

pub use memory::{Ack, Builder, Entry, Final, History, Lane, LaneMark, Mark, Message, Moment, Receipts, Room, flag};
pub use names::Names;
pub use record::{Content, Offset, OffsetError, Op, Record};
pub use recorder::{Live, Recorder, RecorderError};
pub use text::HistoryError;
