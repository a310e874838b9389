//! The verdict in one sentence, and the reasons when it is not a pass.

use std::{collections::BTreeSet, fmt::Write as _};

use chaos_checkers::{Contract, Outcome, Rule, RuleResult, State, Verdict};

use super::{Record, deaf, table::thousands};

pub(crate) fn sentence(record: &Record<'_>) -> String {
    let (plan, verdict) = (record.plan, record.verdict);
    let what = match verdict.outcome {
        Outcome::Pass => pass(record),
        Outcome::Fail => fail(record),
        Outcome::Unknown => unknown(record.verdict),
    };
    let outcome = verdict.outcome.to_string().to_uppercase();
    let system = &plan.drill.system;
    let on = if system.is_reference() { String::new() } else { format!(" on {}", system.name) };
    let mut text = format!("{}{on}: {outcome}: {what}.\n", plan.drill.name);
    for reason in &verdict.reasons {
        let _ = writeln!(text, "  because {reason}");
    }
    text
}

fn pass(record: &Record<'_>) -> String {
    let numbers = &record.verdict.numbers;
    let promise = match record.plan.drill.expect.contract {
        Contract::AckedIsDurable => "all are in the log and reached every member once and in one order",
        Contract::AtMostOnce => "none arrived twice or where it did not belong",
    };
    let faults = record.schedule.faults.len();
    format!(
        "{} messages were acknowledged through {faults} fault{}, {promise} ({} deliveries)",
        thousands(numbers.acked),
        if faults == 1 { "" } else { "s" },
        thousands(numbers.received)
    )
}

/// What stands all the same, and what does not.
fn unknown(verdict: &Verdict) -> String {
    let Some(standing) = verdict.standing() else { return "nothing may be claimed, see below".to_owned() };
    let doubt = |(rule, result): (&Rule, &RuleResult)| match &result.state {
        State::Unknown(why) => Some(format!("{why} ({rule})")),
        _ => None,
    };
    let doubts: Vec<_> = verdict.rules.iter().filter_map(doubt).collect();
    format!("{standing}, but {}", doubts.join("; "))
}

fn fail(record: &Record<'_>) -> String {
    let (verdict, numbers) = (record.verdict, &record.verdict.numbers);
    let failed: Vec<_> = verdict.failed().map(|rule| rule.to_string()).collect();
    let mut text = format!("the contract was broken ({})", failed.join(", "));
    if numbers.acked_lost > 0 {
        let _ = write!(
            text,
            "; {} of {} acknowledged messages did not reach everyone whom they were promised to",
            thousands(numbers.acked_lost),
            thousands(numbers.acked)
        );
    }
    let from_log = verdict.rules.get(&Rule::R12).map_or(0, |result| result.count);
    if from_log > 0 {
        let _ = write!(text, "; {} acknowledged messages are no longer in the log", thousands(from_log));
    }
    let deaf = deaf::members(record.schedule, record.history);
    if !deaf.is_empty() {
        let nodes: BTreeSet<_> = deaf.iter().map(|deaf| deaf.node.as_str()).collect();
        let nodes = nodes.into_iter().collect::<Vec<_>>().join(", ");
        let _ = write!(
            text,
            "; deaf on healthy connections after the last heal: {} memberships on {nodes}",
            thousands(deaf.len() as u64)
        );
    }
    if let Some(longest) = deaf::nodes(record.schedule, record.history).first() {
        let (listener, speaker) = (&longest.listener, &longest.speaker);
        let _ = write!(text, "; longest: {listener} deaf to {speaker} for {}", deaf::lasted(longest));
    }
    text
}
