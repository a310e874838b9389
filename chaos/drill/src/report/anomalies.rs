//! What was violated: losses before all else, a few examples of each rule, the worst first, each with the spans of that
//! very message, the last hop that it reached, and the fault that was on then.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use chaos_checkers::{Anomaly, Rule, Verdict};
use chaos_observe::{
    At, Clock, SpanStore,
    spans::{Killed, LastHop, Towards},
};

use super::faults::seconds;
use crate::{plan::Plan, schedule::Schedule};

/// How long a node may hold spans before it exports them.
const EXPORT_DELAY: Duration = Duration::from_millis(200);

/// Receipts that are shown of one message.
const RECEIPTS: usize = 3;

/// What is needed to tell how far a message came.
pub(crate) struct Traces<'r> {
    pub(crate) schedule: &'r Schedule,
    pub(crate) spans: &'r SpanStore,
    pub(crate) clock: Clock,
    /// Whether the system has one: which hops there are.
    pub(crate) log: bool,
}

impl<'r> Traces<'r> {
    pub(crate) fn new(plan: &Plan, schedule: &'r Schedule, spans: &'r SpanStore) -> Traces<'r> {
        let clock = Clock::anchored(std::time::Instant::now(), schedule.began_unix_ns);
        Traces { schedule, spans, clock, log: plan.drill.has_log() }
    }

    /// Nodes that took spans with them.
    fn killed(&self) -> Vec<Killed> {
        let chat = self.schedule.faults.iter().filter(|fault| fault.target.starts_with("chat-"));
        let killed = |fault: &crate::schedule::FaultSeen| {
            let at_unix_ns = self.clock.unix_ns(fault.on);
            let services = fault.target.split(", ").map(str::to_owned);
            services.map(move |service| Killed { service, at_unix_ns, window: EXPORT_DELAY }).collect::<Vec<_>>()
        };
        chat.flat_map(killed).collect()
    }

    pub(crate) fn last_hop(&self, anomaly: &Anomaly) -> Option<LastHop> {
        let towards = Towards { node: anomaly.node.as_deref(), member: anomaly.member.as_deref() };
        self.spans.last_hop(anomaly.message.as_deref()?, towards, &self.killed())
    }
}

pub(crate) fn anomalies(verdict: &Verdict, traces: &Traces<'_>) -> String {
    let mut text = String::new();
    let mut shown = BTreeSet::new();
    let mut rules: Vec<_> = verdict.rules.iter().filter(|(_, result)| !result.examples.is_empty()).collect();
    rules.sort_by_key(|(rule, _)| !matches!(rule, Rule::R1 | Rule::R12));
    for (rule, result) in rules {
        let _ = writeln!(text, "  {rule} {}: {} in all", rule.promise(), result.count);
        for anomaly in &result.examples {
            text.push_str(&one(anomaly, traces, &mut shown));
        }
    }
    if text.is_empty() { String::new() } else { format!("Anomalies, the worst first\n{text}") }
}

fn one(anomaly: &Anomaly, traces: &Traces<'_>, shown: &mut BTreeSet<String>) -> String {
    let from = traces.schedule.load_began.unwrap_or_default();
    let when = anomaly.at.map(|at| format!(" at {}", seconds(at.since(from)))).unwrap_or_default();
    let mut text = format!("    • {}{when}: {}\n", anomaly.kind, anomaly.detail);
    let Some(message) = &anomaly.message else { return text };
    let hop = traces.last_hop(anomaly);
    let at = hop.as_ref().map(|hop| traces.clock.from_unix_ns(hop.at_ns)).or(anomaly.at);
    match hop {
        Some(hop) => {
            let told = hop.told(traces.log);
            let _ = writeln!(text, "      last hop of {message}: {told}{}", during(traces.schedule, at));
        }
        None => drop(writeln!(text, "      no span of {message} was received{}", during(traces.schedule, at))),
    }
    if shown.insert(message.clone()) {
        text.push_str(&tree(&traces.spans.tree(message)));
    }
    text
}

/// The span tree, with the many receipts of a large room counted after the first few.
fn tree(tree: &str) -> String {
    let (mut text, mut receipts) = (String::new(), 0);
    for line in tree.lines() {
        receipts += usize::from(line.contains("chat.receive on"));
        if receipts <= RECEIPTS || !line.contains("chat.receive on") {
            let _ = writeln!(text, "        {line}");
        }
    }
    if receipts > RECEIPTS {
        let _ = writeln!(text, "        and {} more chat.receive", receipts - RECEIPTS);
    }
    text
}

/// The fault windows that a moment lies in.
fn during(schedule: &Schedule, at: Option<At>) -> String {
    let Some(at) = at else { return String::new() };
    let names: Vec<_> = schedule.faults_at(at).map(|fault| format!("{} of {}", fault.kind, fault.target)).collect();
    match names.as_slice() {
        [] => ", outside every fault window".to_owned(),
        names => format!(", during {}", names.join(" and ")),
    }
}
