//! Writes the history as the run goes, and counts as it does.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use serde::Serialize;

use super::record::{Op, Record};
use crate::{
    At,
    lines::{Lines, LinesError},
};

pub type RecorderError = LinesError;

/// Cheap to clone; never waits, so that it does not slow the users whose latency it measures.
#[derive(Clone, Debug)]
pub struct Recorder {
    lines: Lines<Record>,
    counters: Arc<Counters>,
}

/// Totals so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Live {
    /// Messages whose first attempt went on the wire.
    pub sent: u64,
    pub retries: u64,
    pub acked: u64,
    pub refused: u64,
    /// Attempts that timed out or were cut.
    pub indeterminate: u64,
    /// Receipts on the wire.
    pub received: u64,
    pub replayed: u64,
    /// Receipts that the client did not show.
    pub hidden: u64,
    pub downs: u64,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    retries: AtomicU64,
    acked: AtomicU64,
    refused: AtomicU64,
    indeterminate: AtomicU64,
    received: AtomicU64,
    replayed: AtomicU64,
    hidden: AtomicU64,
    downs: AtomicU64,
}

impl Recorder {
    pub fn create(path: &Path) -> Result<Recorder, RecorderError> {
        Ok(Recorder { lines: Lines::create(path)?, counters: Arc::default() })
    }

    pub fn record(&self, at: At, user: &str, op: Op) {
        self.counters.count(&op);
        self.lines.write(Record { at, user: user.to_owned(), op });
    }

    pub fn live(&self) -> Live {
        self.counters.read()
    }

    /// Waits until everything recorded so far is in the file, and says how many records that is. What is recorded
    /// later is dropped.
    pub fn finish(&self) -> Result<u64, RecorderError> {
        self.lines.finish()
    }
}

impl Counters {
    fn count(&self, op: &Op) {
        let one = |counter: &AtomicU64, add: bool| {
            counter.fetch_add(u64::from(add), Relaxed);
        };
        match op {
            Op::Send { attempt, .. } => one(if *attempt <= 1 { &self.sent } else { &self.retries }, true),
            Op::SendOk { .. } => one(&self.acked, true),
            Op::SendFail { .. } => one(&self.refused, true),
            Op::SendInfo { .. } => one(&self.indeterminate, true),
            Op::Down { .. } => one(&self.downs, true),
            Op::Recv { replay, hidden, .. } => {
                one(&self.received, true);
                one(&self.replayed, *replay);
                one(&self.hidden, *hidden);
            }
            _ => {}
        }
    }

    fn read(&self) -> Live {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        Live {
            sent: of(&self.sent),
            retries: of(&self.retries),
            acked: of(&self.acked),
            refused: of(&self.refused),
            indeterminate: of(&self.indeterminate),
            received: of(&self.received),
            replayed: of(&self.replayed),
            hidden: of(&self.hidden),
            downs: of(&self.downs),
        }
    }
}
