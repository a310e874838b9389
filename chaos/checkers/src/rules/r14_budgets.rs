//! R14: everything happens within its budget: promotions by the engine's formula, neither later nor earlier, and
//! whatever else the harness measured.

use chaos_observe::At;

use crate::{
    Anomaly, Promotion, Rule,
    facts::Facts,
    findings::Findings,
    question::Measured,
    verdict::{Latency, Numbers},
};

/// When the harness itself lagged more, its times say nothing of the system.
const OWN_LAG_MS: u64 = 100;
/// The least that a failed election costs.
const ELECTION_MS: u64 = 4000;

pub(super) fn check(facts: &Facts<'_>, numbers: &mut Numbers) -> Findings {
    let mut findings = Findings::of(Rule::R14);
    let question = facts.question;
    for promotion in &question.promotions {
        findings.examined += 1;
        promotion_within(promotion, &mut findings);
    }
    for measured in &question.measured {
        findings.examined += 1;
        measured_within(measured, &mut findings);
    }
    let budgets = question.budgets;
    for (name, budget, latency) in
        [("acks", budgets.ack_p99_ms, &numbers.acks), ("deliveries", budgets.delivery_p99_ms, &numbers.deliveries)]
    {
        if let Some(budget) = budget.filter(|_| latency.came + latency.never_came > 0) {
            findings.examined += 1;
            latency_within(name, budget, latency, &mut findings);
        }
    }
    if question.own_lag_ms > OWN_LAG_MS && findings.examined > 0 {
        // Late measurements prove nothing, whichever way they came out.
        let reason = format!("times cannot be judged: the harness was late by {} ms", question.own_lag_ms);
        let mut unknown = Findings::of(Rule::R14);
        (unknown.examined, unknown.unknown) = (findings.examined, Some(reason));
        return unknown;
    }
    findings
}

/// What the failed elections that were seen add to the formula.
fn elections_ms(promotion: &Promotion) -> u64 {
    u64::from(promotion.failed_elections) * ELECTION_MS.max(4 * promotion.node_timeout_ms)
}

fn promotion_within(promotion: &Promotion, findings: &mut Findings) {
    let (more, failed) = (elections_ms(promotion), promotion.failed_elections);
    let latest = promotion.latest_ms + more;
    let elections = if failed > 0 { format!(" + {more} ms for {failed} failed elections") } else { String::new() };
    let formula = format!("{}{elections}", promotion.formula);
    let took = promotion.promoted_at.map(|at| at.since(promotion.killed_at).as_millis() as u64);
    let (kind, detail) = match took {
        None => ("never", format!("shard {} got no new primary; allowed: {latest} ms = {formula}", promotion.shard)),
        Some(ms) if ms > latest => (
            "too slow",
            format!("shard {} got its new primary after {ms} ms; allowed: {latest} ms = {formula}", promotion.shard),
        ),
        Some(ms) if ms < promotion.earliest_ms => {
            let earliest = promotion.earliest_ms;
            let shard = &promotion.shard;
            (
                "too fast",
                format!(
                    "shard {shard} got its new primary after {ms} ms; the earliest possible is {earliest} ms: {formula}"
                ),
            )
        }
        Some(_) => return,
    };
    let at = promotion.promoted_at.unwrap_or(promotion.killed_at);
    findings.add(severity(kind), |rule| anomaly(rule, kind, detail, at));
}

fn measured_within(measured: &Measured, findings: &mut Findings) {
    let latest = measured.latest_ms;
    let took = measured.to.map(|to| to.since(measured.from));
    let (kind, detail) = match took {
        None => ("never", format!("{}: never; allowed: {latest} ms", measured.name)),
        Some(took) if took.as_millis() > u128::from(latest) => {
            ("too slow", format!("{}: after {} ms; allowed: {latest} ms", measured.name, took.as_millis()))
        }
        Some(_) => return,
    };
    findings.add(severity(kind), |rule| anomaly(rule, kind, detail, measured.to.unwrap_or(measured.from)));
}

fn latency_within(name: &str, budget_ms: u64, latency: &Latency, findings: &mut Findings) {
    if latency.p99.us > budget_ms * 1000 || latency.p99.at_least {
        let never = latency.never_came;
        let detail = format!("99 % of {name}: {}, {never} never came; allowed: {budget_ms} ms", latency.p99);
        findings.add(severity("too slow"), |rule| Anomaly::new(rule, "too slow", detail));
    }
}

fn severity(kind: &str) -> u32 {
    match kind {
        "never" => 3,
        "too slow" => 2,
        _ => 1,
    }
}

fn anomaly(rule: Rule, kind: &str, detail: String, at: At) -> Anomaly {
    Anomaly { at: Some(at), ..Anomaly::new(rule, kind, detail) }
}
