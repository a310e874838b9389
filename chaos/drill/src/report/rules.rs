//! What was checked, in numbers: one line a rule, whether it was exercised or not.

use chaos_checkers::{Rule, RuleResult, State, Verdict};

use super::table::{Table, thousands};
use crate::plan::Plan;

pub(crate) fn rules(plan: &Plan, verdict: &Verdict) -> String {
    let mut table = Table::new();
    table.row(["rule", "state", "checked", "violations", "promise"].map(str::to_owned));
    for (rule, result) in &verdict.rules {
        table.row([
            rule.to_string(),
            state(plan, *rule, result),
            thousands(result.examined),
            thousands(result.count),
            promise(*rule, result),
        ]);
    }
    format!("Rules\n{}", table.render("  "))
}

fn state(plan: &Plan, rule: Rule, result: &RuleResult) -> String {
    let promised = plan.drill.expect.exercises.contains(&rule);
    match &result.state {
        State::Pass => "✔ pass",
        State::Fail => "✘ FAIL",
        State::Unknown(_) => "? unknown",
        State::NotExercised if promised => "? not exercised",
        State::NotExercised => "- not exercised",
        State::NotApplicable => "- not applicable",
    }
    .to_owned()
}

fn promise(rule: Rule, result: &RuleResult) -> String {
    match &result.state {
        State::Unknown(why) => format!("{} ({why})", rule.promise()),
        _ => rule.promise().to_owned(),
    }
}
