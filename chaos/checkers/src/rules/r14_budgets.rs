//! R14: everything happens within its budget: promotions by the engine's formula, neither later nor earlier, and
//! whatever else the harness measured. Where the harness was late itself, a time is judged only as far as that could not
//! change what comes of it.

use std::time::Duration;

use chaos_observe::At;

use crate::{
    Anomaly, Promotion, Rule,
    facts::Facts,
    findings::Findings,
    lateness::{Held, Took},
    question::Measured,
    verdict::{Latency, Numbers},
};

/// The least that a failed election costs.
const ELECTION_MS: u64 = 4000;

pub(super) fn check(facts: &Facts<'_>, numbers: &mut Numbers) -> Findings {
    let question = facts.question;
    let late = &facts.lateness;
    let mut judged = Judged { findings: Findings::of(Rule::R14), doubts: Vec::new() };
    for promotion in &question.promotions {
        let took = late.since_done(promotion.killed_at, promotion.promoted_at.unwrap_or(facts.history.end));
        judged.promotion(promotion, took);
    }
    for measured in &question.measured {
        let took = late.since_seen(measured.from, measured.to.unwrap_or(facts.history.end));
        judged.measured(measured, took);
    }
    let budgets = question.budgets;
    for (name, budget, latency) in
        [("acks", budgets.ack_p99_ms, &numbers.acks), ("deliveries", budgets.delivery_p99_ms, &numbers.deliveries)]
    {
        if let Some(budget) = budget.filter(|_| latency.came + latency.never_came > 0) {
            let p99 = Duration::from_millis(latency.p99.us.div_ceil(1000));
            judged.latency(name, budget, latency, late.whenever(p99));
        }
    }
    let Judged { mut findings, doubts } = judged;
    findings.unknown = (!doubts.is_empty()).then(|| format!("times cannot be judged: {}", doubts.join("; ")));
    findings
}

struct Judged {
    findings: Findings,
    /// What could have come out either way, had the harness been in time.
    doubts: Vec<String>,
}

impl Judged {
    fn promotion(&mut self, promotion: &Promotion, took: Took) {
        let (more, failed) = (elections_ms(promotion), promotion.failed_elections);
        let (earliest, latest) = (promotion.earliest_ms, promotion.latest_ms + more);
        let elections = if failed > 0 { format!(" + {more} ms for {failed} failed elections") } else { String::new() };
        let formula = format!("{}{elections}", promotion.formula);
        let got = match promotion.promoted_at {
            None => "got no new primary".to_owned(),
            Some(_) => format!("got its new primary after {} ms", took.noted.as_millis()),
        };
        let held = took.against(promotion.promoted_at.is_some(), earliest, latest);
        let allowed = match held {
            Held::TooFast => format!("the earliest possible is {earliest} ms: {formula}"),
            Held::Unsure => format!("allowed: {earliest} to {latest} ms = {formula}"),
            _ => format!("allowed: {latest} ms = {formula}"),
        };
        let at = promotion.promoted_at.unwrap_or(promotion.killed_at);
        self.tell(held, format!("shard {} {got}; {allowed}", promotion.shard), took, Some(at));
    }

    fn measured(&mut self, measured: &Measured, took: Took) {
        let Measured { name, latest_ms: latest, .. } = measured;
        let detail = match measured.to {
            None => format!("{name}: never; allowed: {latest} ms"),
            Some(_) => format!("{name}: after {} ms; allowed: {latest} ms", took.noted.as_millis()),
        };
        let held = took.against(measured.to.is_some(), 0, *latest);
        self.tell(held, detail, took, Some(measured.to.unwrap_or(measured.from)));
    }

    fn latency(&mut self, name: &str, budget_ms: u64, latency: &Latency, took: Took) {
        // What never came was not noted late.
        let held = if latency.p99.at_least { Held::TooSlow } else { took.against(true, 0, budget_ms) };
        let never = latency.never_came;
        let detail = format!("99 % of {name}: {}, {never} never came; allowed: {budget_ms} ms", latency.p99);
        self.tell(held, detail, took, None);
    }

    fn tell(&mut self, held: Held, detail: String, took: Took, at: Option<At>) {
        self.findings.examined += 1;
        let (severity, kind) = match held {
            Held::Within => return,
            Held::Unsure => return self.doubts.push(format!("{detail}; {took}")),
            Held::Never => (3, "never"),
            Held::TooSlow => (2, "too slow"),
            Held::TooFast => (1, "too fast"),
        };
        self.findings.add(severity, |rule| Anomaly { at, ..Anomaly::new(rule, kind, detail) });
    }
}

/// What the failed elections that were seen add to the formula.
fn elections_ms(promotion: &Promotion) -> u64 {
    u64::from(promotion.failed_elections) * ELECTION_MS.max(4 * promotion.node_timeout_ms)
}
