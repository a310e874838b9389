//! What was broken, whether it bit, and how fast the system came back against its budget.

use std::{fmt::Write as _, time::Duration};

use chaos_observe::{At, History, Length};

use crate::{
    measure,
    plan::{BudgetName, Plan},
    schedule::{FaultSeen, PromotionSeen, Schedule},
};

/// Acks may be back a little before the heal is noted as done.
const MOMENT: Duration = Duration::from_secs(1);

pub(crate) fn faults(plan: &Plan, schedule: &Schedule, history: &History) -> String {
    if schedule.faults.is_empty() {
        return "Faults\n  none was injected\n".to_owned();
    }
    let from = schedule.load_began.unwrap_or_default();
    let mut text = "Faults\n".to_owned();
    for fault in &schedule.faults {
        text.push_str(&one(fault, from));
        for promotion in schedule.promotions.iter().filter(|promotion| promotion.fault == fault.id) {
            text.push_str(&promoted(plan, schedule, history, promotion));
        }
    }
    text
}

/// Of a run that ended early: what was injected, and what showed it.
pub(crate) fn faults_so_far(schedule: &Schedule) -> String {
    let from = schedule.load_began.unwrap_or_default();
    let faults: String = schedule.faults.iter().map(|fault| one(fault, from)).collect();
    format!("Faults\n{}", if faults.is_empty() { "  none was injected\n" } else { &faults })
}

fn one(fault: &FaultSeen, from: At) -> String {
    let FaultSeen { kind, role, target, on, off, evidence, missing, .. } = fault;
    let off = off.map_or("never healed".to_owned(), |off| format!("healed at {}", seconds(off.since(from))));
    let mark = if missing.is_empty() { "✔" } else { "✘" };
    let mut text = format!("  {mark} {kind} {target} ({role}) at {}, {off}\n", seconds(on.since(from)));
    for seen in evidence {
        let _ = writeln!(text, "      seen: {seen}");
    }
    for sign in missing {
        let _ = writeln!(text, "      NOT SEEN: {sign}; without it the fault proves nothing");
    }
    text
}

/// detect · promote · acks back, each against its budget where it has one.
fn promoted(plan: &Plan, schedule: &Schedule, history: &History, promotion: &PromotionSeen) -> String {
    let since = |at: At| at.since(promotion.killed_at);
    let shard = promotion.shard;
    let Some(promoted) = promotion.promoted_at else {
        return format!("      shard {shard}: nobody was promoted in place of {}\n", promotion.from);
    };
    let mut parts = Vec::new();
    parts.extend(promotion.detected_at.map(|at| format!("detect {}", seconds(since(at)))));
    parts.push(format!("promote {}{}", seconds(since(promoted)), against(plan, BudgetName::Promote)));
    if promotion.failed_elections > 0 {
        parts.push(format!("{} failed elections before it", promotion.failed_elections));
    }
    let to = promotion.to.as_deref().unwrap_or("?");
    let mut text = format!("      shard {shard}: {} → {to}: {}", promotion.from, parts.join(" · "));
    if schedule.rooms.is_empty() {
        // Without a log no room belongs to a shard.
        return text + "\n";
    }
    if !measure::has_rooms(schedule, shard) {
        return text + "\n      no room of the load lies on that shard: nobody could miss an ack there\n";
    }
    let _ = match measure::acks_back(schedule, history, promotion) {
        Some(back) => write!(text, " · acks back {} after it{}", seconds(back), against(plan, BudgetName::Acks)),
        None => write!(text, " · no ack came back"),
    };
    if let Some(other) = measure::won_as_well(schedule, promotion) {
        let more = seconds(measure::acks_more(schedule, promotion));
        let _ = write!(
            text,
            "\n      {} won an election too: {more} more for acks, since the loser of the two has to synchronise in full",
            other.server
        );
    }
    let end = schedule.load_ended.unwrap_or(history.end);
    let (_, silence) = measure::longest_silence(schedule, history, shard, promotion.killed_at, end);
    let _ = write!(text, "\n      users of the shard waited {} at most without any ack\n", seconds(silence));
    if let Some(why) = stalled(plan, schedule, history, promotion) {
        let _ = writeln!(text, "      why so long: {why}");
    }
    text
}

/// With one replica there is nobody left to hold a second copy once it is primary.
fn stalled(plan: &Plan, schedule: &Schedule, history: &History, promotion: &PromotionSeen) -> Option<String> {
    let off = schedule.faults.iter().find(|fault| fault.id == promotion.fault)?.off?;
    let back = promotion.promoted_at?.plus(measure::acks_back(schedule, history, promotion)?);
    let alone = plan.drill.cluster.redis.replicas_per_shard == 1;
    let PromotionSeen { from, to, .. } = promotion;
    let to = to.as_deref()?;
    (alone && back.plus(MOMENT) >= off).then(|| {
        format!(
            "{to} was the only replica of {from}. As primary it has nobody to hold a second copy, so no ack could be \
             a promise until {from} was back as its replica"
        )
    })
}

fn against(plan: &Plan, name: BudgetName) -> String {
    match plan.budget(name) {
        Some(budget) if budget.earliest > Length::default() => {
            format!(" (budget {} to {})", budget.earliest, budget.latest)
        }
        Some(budget) => format!(" (budget {})", budget.latest),
        None => String::new(),
    }
}

pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
