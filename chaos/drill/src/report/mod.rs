//! What a person reads at the end: one sentence, then the evidence for it, in the order in which one would doubt it.
//!
//! Did the faults happen? What did users get meanwhile? What was checked, what was violated, and where did that very
//! message stop? How long did it take? May one believe the telemetry? How is it run again? A pure function of the
//! stored run. Deliberately absent: `report.html`, which has its own issue.

mod anomalies;
mod deaf;
mod faults;
mod junit;
mod rules;
mod sentence;
mod strip;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod timeline;

use std::{fmt::Write as _, path::Path};

use chaos_checkers::{Latency, Verdict};
use chaos_observe::{History, Late, SpanStore};

pub(crate) use faults::faults_so_far;
pub(crate) use junit::{junit, junit_unjudged};

use crate::{plan::Plan, schedule::Schedule};
use anomalies::Traces;
use table::thousands;

/// So many late stretches of the harness are told one by one.
const STRETCHES: usize = 3;

/// A stored run, all of it.
pub(crate) struct Record<'r> {
    pub(crate) run: &'r Path,
    pub(crate) plan: &'r Plan,
    pub(crate) schedule: &'r Schedule,
    pub(crate) history: &'r History,
    pub(crate) spans: &'r SpanStore,
    pub(crate) verdict: &'r Verdict,
}

pub(crate) fn text(record: &Record<'_>) -> String {
    let Record { plan, schedule, history, verdict, spans, .. } = record;
    let traces = Traces::new(plan, schedule, spans);
    let parts = [
        sentence::sentence(record),
        faults::faults(plan, schedule, history),
        timeline::timeline(schedule, history),
        rules::rules(plan, verdict),
        anomalies::anomalies(verdict, &traces),
        deaf::deaf(schedule, history),
        numbers(record),
        again(record),
    ];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

/// Latencies, telemetry and the harness's own lag: whether the times above mean anything.
fn numbers(record: &Record<'_>) -> String {
    let (numbers, schedule) = (&record.verdict.numbers, record.schedule);
    let mut text =
        "Numbers (times count from when a message was due, so they hold the wait for the message before it)\n"
            .to_owned();
    let _ = writeln!(text, "  acks        {}", latency(&numbers.acks));
    let _ = writeln!(text, "  deliveries  {}", latency(&numbers.deliveries));
    let _ = writeln!(
        text,
        "  messages    {} sent in {} attempts, {} acked, {} refused, {} without an answer ({} of them in the log)",
        thousands(numbers.sent),
        thousands(numbers.attempts),
        thousands(numbers.acked),
        thousands(numbers.refused),
        thousands(numbers.indeterminate),
        thousands(numbers.indeterminate_stored)
    );
    let _ = writeln!(
        text,
        "  receipts    {} on the wire, {} replayed, {} hidden as duplicates; {} of {} owed are missing",
        thousands(numbers.received),
        thousands(numbers.replayed),
        thousands(numbers.hidden),
        thousands(numbers.missing),
        thousands(numbers.owed)
    );
    let _ = writeln!(
        text,
        "  telemetry   {} spans received, {} missing, {} more that a killed process may have held",
        thousands(schedule.spans_received),
        thousands(schedule.spans_missing),
        thousands(schedule.spans_excused)
    );
    let _ = writeln!(text, "  harness     late by {} ms at most{}", schedule.own_lag_ms, when_late(schedule));
    text
}

/// The worst stretches of it, when it matters.
fn when_late(schedule: &Schedule) -> String {
    if schedule.late.is_empty() {
        return String::new();
    }
    let from = schedule.load_began.unwrap_or_default();
    let mut late = schedule.late.clone();
    late.sort_by_key(|late| std::cmp::Reverse(late.worst_ms));
    let stretch = |late: &Late| {
        let Late { from: since, to, worst_ms } = late;
        format!("{} to {} ({worst_ms} ms)", faults::seconds(since.since(from)), faults::seconds(to.since(from)))
    };
    let mut told: Vec<_> = late.iter().take(STRETCHES).map(stretch).collect();
    if late.len() > STRETCHES {
        told.push(format!("{} more", late.len() - STRETCHES));
    }
    format!(
        "; by more than 100 ms at {}; a time that was measured then is judged only where that cannot change the verdict",
        told.join(", ")
    )
}

fn latency(latency: &Latency) -> String {
    let Latency { came, never_came, p50, p99, p999, max, .. } = latency;
    let never = if *never_came == 0 { String::new() } else { format!(", {} never came", thousands(*never_came)) };
    format!("p50 {p50} · p99 {p99} · p99.9 {p999} · max {max}; {} came{never}", thousands(*came))
}

fn again(record: &Record<'_>) -> String {
    let Plan { command, drill, engine, .. } = record.plan;
    let engine = engine.as_ref().map_or_else(String::new, |engine| format!("{} {}", engine.kind, engine.version));
    let run = record.run.display();
    format!(
        "Again\n  {command} --seed {}\n  chaos judge {run}\n  seed {}, {engine}, chaos {}; real processes are not \
         deterministic, so the same seed is the same load, not the same run\n  record: {run}\n",
        drill.seed, drill.seed, record.plan.version
    )
}
