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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Content, History, Offset};

    fn receipt(message: &str, hidden: bool) -> Op {
        Op::Recv {
            room: "r".to_owned(),
            message: message.to_owned(),
            sender: "u0".to_owned(),
            offset: Some(Offset(7)),
            content: Content::of("hello"),
            replay: false,
            hidden,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_thousand_users_lose_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let recorder = Recorder::create(&path).unwrap();
        let user = |nth: u32, recorder: Recorder| async move {
            for message in 0..20 {
                recorder.record(At(u64::from(nth)), &format!("u{nth}"), receipt(&format!("m{message}"), message == 3));
                tokio::task::yield_now().await;
            }
        };
        let mut users = tokio::task::JoinSet::new();
        (0..1000).for_each(|nth| drop(users.spawn(user(nth, recorder.clone()))));
        users.join_all().await;
        assert_eq!(recorder.live(), Live { received: 20_000, hidden: 1000, ..Live::default() });
        assert_eq!(recorder.finish().unwrap(), 20_000);
        let history = History::load(&path).unwrap();
        assert_eq!((history.records, history.receipts(), history.lanes.len()), (20_000, 20_000, 1000));
        // Equal receipts share their entry, and each member's are in its order.
        assert_eq!(history.entries.len(), 20);
        let in_order = |lane: &crate::history::Lane| {
            let messages = lane.receipts.entry.iter().map(|entry| history.entries[*entry as usize].message);
            messages
                .map(|message| history.message_names.name(message).to_owned())
                .eq((0..20).map(|nth| format!("m{nth}")))
        };
        assert!(history.lanes.iter().all(in_order));
    }

    #[test]
    fn a_line_that_is_no_record_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        std::fs::write(&path, "{\"at\":1,\"user\":\"u\",\"op\":{\"down\":{\"why\":\"x\"}}}\n{\"at\":1,\"us").unwrap();
        let error = History::load(&path).unwrap_err().to_string();
        assert!(error.contains("history.jsonl:2: "), "{error}");
    }
}
