//! What the checkers are asked about a run: `question.json`, made of the plan, of what really happened, and of what
//! was measured in the history.

use chaos_checkers::{Budgets, FaultSeen, Measured, Promotion, Question, Telemetry};
use chaos_observe::{History, Length};

use crate::{
    measure,
    plan::{BudgetName, Plan},
    schedule::{PromotionSeen, Schedule},
};

/// Of all spans expected, the share that may be missing before nothing is claimed.
const MISSING_SHARE: f64 = 0.01;

pub(crate) fn of(plan: &Plan, schedule: &Schedule, history: &History) -> Question {
    let drill = &plan.drill;
    // Of a primary that nothing happened to none is due.
    let shown = |id: &str| schedule.faults.iter().any(|fault| fault.id == id && !fault.evidence.is_empty());
    let promotions = schedule.promotions.iter().filter(|promotion| shown(&promotion.fault));
    let expected = schedule.spans_received + schedule.spans_missing;
    Question {
        exercises: drill.expect.exercises.iter().copied().collect(),
        budgets: Budgets {
            canary_ms: plan.budget(BudgetName::Converge).map(|budget| millis(budget.latest)),
            ..Budgets::default()
        },
        faults: schedule.faults.iter().map(fault).collect(),
        promotions: promotions.clone().filter_map(|seen| promotion(plan, seen)).collect(),
        measured: promotions.filter_map(|seen| acks_back(plan, schedule, history, seen)).collect(),
        unreached: schedule.unreached.clone(),
        incomplete: schedule.incomplete.clone(),
        telemetry: Telemetry {
            received: schedule.spans_received,
            missing: schedule.spans_missing,
            excused: schedule.spans_excused,
            limit: (expected as f64 * MISSING_SHARE) as u64,
        },
        own_lag_ms: schedule.own_lag_ms,
        late: schedule.late.clone(),
        history_window_ms: millis(drill.cluster.history_window),
        ..Question::of(drill.expect.contract)
    }
}

fn millis(span: Length) -> u64 {
    span.get().as_millis() as u64
}

/// A fault that lacks a sign it needs has no evidence, whatever else was seen of it.
fn fault(seen: &crate::schedule::FaultSeen) -> FaultSeen {
    let bit = seen.missing.is_empty() && !seen.evidence.is_empty();
    FaultSeen {
        id: seen.id.clone(),
        kind: seen.kind.clone(),
        target: seen.target.clone(),
        on: seen.on,
        off: seen.off,
        evidence: bit.then(|| seen.evidence.join("; ")),
    }
}

fn promotion(plan: &Plan, seen: &PromotionSeen) -> Option<Promotion> {
    let budget = plan.budget(BudgetName::Promote)?;
    Some(Promotion {
        shard: seen.shard.to_string(),
        killed_at: seen.killed_at,
        promoted_at: seen.promoted_at,
        failed_elections: seen.failed_elections,
        node_timeout_ms: millis(plan.drill.cluster.redis.node_timeout),
        earliest_ms: millis(budget.earliest),
        latest_ms: millis(budget.latest),
        formula: budget.formula.clone(),
    })
}

fn acks_back(plan: &Plan, schedule: &Schedule, history: &History, seen: &PromotionSeen) -> Option<Measured> {
    let budget = plan.budget(BudgetName::Acks).filter(|_| measure::has_rooms(schedule, seen.shard))?;
    let from = seen.promoted_at?;
    let back = measure::acks_back(schedule, history, seen);
    let more = measure::acks_more(schedule, seen);
    Some(Measured {
        name: format!("acks back after the promotion of shard {}", seen.shard),
        fault: Some(seen.fault.clone()),
        from,
        to: back.map(|back| from.plus(back)),
        latest_ms: millis(budget.latest) + more.as_millis() as u64,
    })
}
