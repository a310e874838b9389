//! A load on nodes, and what it left behind.

use std::{fs, sync::Arc, time::Duration};

use chaos_checkers::{Contract, Question, Rule, State, Verdict, judge};
use chaos_observe::{Clock, History, Op, Record, Recorder, Span, SpanStore};
use chaos_workload::{ContentSize, FanOut, Load, Summary};
use tempfile::TempDir;

use crate::nodes::Nodes;

/// Far above what anything here takes, so that only what never comes fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// Loads here are steady when they hold still for so long.
pub(crate) const HOLD: Duration = Duration::from_millis(300);
pub(crate) const BOUND: Duration = Duration::from_secs(2);

pub(crate) fn small() -> FanOut {
    let content = ContentSize { least: 24, most: 60 };
    FanOut { rooms: 4, members_per_room: 6, sends_per_second: 200, content, ..FanOut::default() }
}

pub(crate) struct Run {
    pub(crate) nodes: Nodes,
    pub(crate) load: Load,
    pub(crate) clock: Clock,
    recorder: Recorder,
    spans: SpanStore,
    directory: TempDir,
}

/// What is left when the users have gone.
pub(crate) struct Left {
    pub(crate) nodes: Nodes,
    pub(crate) summary: Summary,
    pub(crate) records: Vec<Record>,
    pub(crate) spans: Vec<Arc<Span>>,
    /// What the checkers say of the history, held to the contract.
    pub(crate) verdict: Verdict,
}

impl Run {
    pub(crate) async fn start(load: &FanOut, nodes: Nodes) -> Run {
        let directory = tempfile::tempdir().unwrap();
        let recorder = Recorder::create(&directory.path().join("history.jsonl")).unwrap();
        let spans = SpanStore::create(&directory.path().join("spans.jsonl")).unwrap();
        let clock = Clock::start();
        let load = load.start(nodes.targets.clone(), 7, clock, recorder.clone(), spans.clone()).await.unwrap();
        Run { nodes, load, clock, recorder, spans, directory }
    }

    pub(crate) async fn steady(load: &FanOut, nodes: Nodes) -> Run {
        let run = Run::start(load, nodes).await;
        run.load.steady(HOLD, BOUND, DEADLINE).await.unwrap();
        run
    }

    /// The end that a healthy run has.
    pub(crate) async fn end(self) -> Left {
        self.load.pause_sends();
        self.load.drain(DEADLINE).await.unwrap();
        assert_eq!(self.load.final_read(DEADLINE).await, []);
        self.leave().await
    }

    pub(crate) async fn leave(self) -> Left {
        let summary = self.load.finish().await;
        self.recorder.finish().unwrap();
        let path = self.directory.path().join("history.jsonl");
        let verdict = judge(&History::load(&path).unwrap(), &Question::of(Contract::AckedIsDurable));
        let text = fs::read_to_string(path).unwrap();
        let records = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Left { nodes: self.nodes, summary, records, spans: self.spans.all(), verdict }
    }
}

impl Left {
    /// The rules whose state is this.
    pub(crate) fn rules(&self, state: &State) -> Vec<Rule> {
        let of = self.verdict.rules.iter().filter(|(_, result)| result.state == *state);
        of.map(|(rule, _)| *rule).collect()
    }

    pub(crate) fn count(&self, of: impl Fn(&Op) -> bool) -> u64 {
        self.records.iter().filter(|record| of(&record.op)).count() as u64
    }
}

/// Waits until it holds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
