//! The end of a scenario: heal, let everyone catch up, read the log back, and judge the record.
//!
//! The same steps and the same pure checkers as in a drill; a verdict that is not the expected one is shown with its
//! anomalies, their span trees and where the record lies.

use std::{collections::BTreeSet, time::Duration};

use chaos_checkers::{Anomaly, Contract, FaultSeen, Outcome, Question, Rule, State, Verdict, judge};
use chaos_observe::{
    History, SpanStore,
    spans::{Hop, LastHop, Towards},
};
use chaos_workload::{Load, Summary};
use tempfile::TempDir;

use crate::{
    stage::{self, Stage},
    wait::eventually,
};

/// Enough for whoever was cut off to be back: backoff up to 5 s, and a join.
const DRAIN: Duration = Duration::from_secs(12);
/// A node that lost something on purpose never drains; so long is long enough to know.
const DRAIN_OF_THE_BROKEN: Duration = Duration::from_secs(3);
const READ: Duration = Duration::from_secs(10);

/// What came out, and what is needed to explain it.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) spans: SpanStore,
    directory: TempDir,
}

/// How a scenario is to be closed.
pub(crate) struct Close {
    pub(crate) contract: Contract,
    pub(crate) exercises: BTreeSet<Rule>,
    /// Everything but healing is given little time.
    pub(crate) broken: bool,
}

impl Close {
    /// A correct node: everyone catches up, and these rules have something to say.
    pub(crate) fn exercising(rules: &[Rule]) -> Close {
        Close { contract: Contract::AckedIsDurable, exercises: rules.iter().copied().collect(), broken: false }
    }

    pub(crate) fn broken() -> Close {
        Close { broken: true, ..Close::exercising(&[]) }
    }
}

impl Stage {
    /// Heals all faults and ends the load.
    pub(crate) async fn close(mut self, load: Load, close: Close) -> Judged {
        for fault in 0..self.faults.len() {
            if self.faults[fault].off.is_none() {
                self.heal(fault).await;
            }
        }
        load.pause_sends();
        if let Err(error) = load.drain(if close.broken { DRAIN_OF_THE_BROKEN } else { DRAIN }).await {
            eprintln!("{}: {error}", self.clock.now());
        }
        for unread in load.final_read(READ).await {
            eprintln!("{}: {unread}", self.clock.now());
        }
        if self.collector.is_some() {
            self.until_traced(load.counts().acked).await;
        }
        let Summary { counts, .. } = load.finish().await;
        eprintln!("{}: {counts:?}", self.clock.now());
        let mut question = Question::of(close.contract);
        question.exercises = close.exercises;
        self.judge(question)
    }

    /// Waits for the nodes' spans of so many acknowledged messages: nodes export them late, and what is missing would be
    /// told as if the message had not come that far.
    async fn until_traced(&self, acked: u64) {
        let traced = async || {
            let acks = self.spans.named(Hop::Ack.span());
            let traces: BTreeSet<_> = acks.iter().map(|ack| ack.trace).collect();
            (traces.len() as u64 >= acked).then_some(())
        };
        eventually("a span of every ack", traced).await;
    }

    /// Judges what was recorded, the faults included.
    pub(crate) fn judge(self, mut question: Question) -> Judged {
        self.recorder.finish().expect("the history is written");
        let history = History::load(&self.directory.path().join("history.jsonl")).expect("a history to read");
        question.faults = self.faults.iter().map(fault_seen).collect();
        let verdict = judge(&history, &question);
        eprintln!("{}: {}", self.clock.now(), verdict.outcome);
        Judged { verdict, spans: self.spans, directory: self.directory }
    }
}

fn fault_seen(fault: &chaos_faults::Injected) -> FaultSeen {
    let missing = fault.missing();
    if !missing.is_empty() {
        eprintln!("{} of {} has not shown {missing:?}", fault.kind(), fault.target);
    }
    FaultSeen {
        id: fault.id.clone(),
        kind: fault.kind().to_owned(),
        target: fault.target.clone(),
        on: fault.on,
        off: fault.off,
        evidence: missing.is_empty().then(|| stage::seen(fault)).filter(|seen| !seen.is_empty()),
    }
}

impl Judged {
    /// Nothing is wrong, and nothing is open.
    pub(crate) fn must_pass(self) {
        if self.verdict.outcome != Outcome::Pass {
            let reasons = self.verdict.reasons.join("\n");
            let why = format!("this is {} and should pass:\n{reasons}", self.verdict.outcome);
            self.fails(&why);
        }
    }

    /// The broken node is caught, by this rule.
    pub(crate) fn must_fail(self, rule: Rule) {
        let failed: Vec<Rule> = self.verdict.failed().collect();
        eprintln!("failed: {failed:?}, of {rule}: {}", self.verdict.rules.get(&rule).map_or(0, |result| result.count));
        if !failed.contains(&rule) {
            self.fails(&format!("{rule} ({}) should fail, and {failed:?} did", rule.promise()));
        }
    }

    pub(crate) fn has_failed(&self, rule: Rule) -> bool {
        self.verdict.rules.get(&rule).is_some_and(|result| result.state == State::Fail)
    }

    pub(crate) fn examples(&self, rule: Rule) -> &[Anomaly] {
        self.verdict.rules.get(&rule).map_or(&[], |result| &result.examples)
    }

    /// How far the message of an anomaly came on its way to that member.
    pub(crate) fn last_hop(&self, anomaly: &Anomaly) -> Option<LastHop> {
        let towards = Towards { node: anomaly.node.as_deref(), member: anomaly.member.as_deref() };
        self.spans.last_hop(anomaly.message.as_deref()?, towards, &[])
    }

    fn fails(self, why: &str) -> ! {
        let examples = self.verdict.rules.values().flat_map(|result| &result.examples);
        let shown: Vec<String> = examples.take(6).map(|anomaly| self.explain(anomaly)).collect();
        let kept = self.directory.keep();
        panic!("{why}\n{}\nthe record is in {}", shown.join("\n"), kept.display());
    }

    pub(crate) fn explain(&self, anomaly: &Anomaly) -> String {
        let tree = anomaly.message.as_deref().map(|message| self.spans.tree(message)).unwrap_or_default();
        let hop = self.last_hop(anomaly).map_or("no span".to_owned(), |hop| hop.told(true));
        format!("{anomaly:?}\n  last hop: {hop}\n{tree}")
    }
}
