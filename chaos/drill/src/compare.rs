//! Systems side by side: what the same drill found of each, whatever each of them claims.
//!
//! Lost, doubled, deaf and stalled are counted for all by the same yardstick (what was acknowledged reaches every
//! member); the verdict beside them is on what the system itself promises. Pure; who runs the drills is the command.

mod html;
#[cfg(test)]
mod tests;

use std::{fmt::Write as _, time::Duration};

use chaos_checkers::{Contract, Outcome, Question, Rule, State, Verdict, judge};
use chaos_observe::History;
use serde::Serialize;

use crate::{
    deafness,
    drill::contract_name,
    measure,
    plan::Plan,
    report::table::{Table, thousands},
    schedule::Schedule,
};

/// What one run found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// `acked_is_durable` or `at_most_once`.
    pub claims: &'static str,
    /// On what it claims, with the rules that it broke, and those of which nothing can be said.
    pub verdict: Outcome,
    pub broke: Vec<Rule>,
    pub doubted: Vec<Rule>,
    pub acked: u64,
    /// Acknowledged messages that not everyone got whom they were owed to, or that are no longer in the log.
    pub lost: u64,
    /// Deliveries of them.
    pub owed: u64,
    pub missing: u64,
    pub duplicated: u64,
    /// The longest that nobody on one node heard anything of what was acknowledged to users of another.
    pub deaf_seconds: f64,
    /// Whether that lasted until no more was sent.
    pub deaf_to_the_end: bool,
    /// Pairs of nodes that were deaf, in one direction, at some time.
    pub deaf_pairs: usize,
    /// The longest that no message of a room was acknowledged.
    pub ack_stall_seconds: f64,
}

/// A system of the comparison: its name, what it is, and what was found or why nothing was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    pub system: String,
    pub title: String,
    pub found: Option<Found>,
    /// Why there is no verdict.
    pub failed: Option<String>,
    /// The run directory.
    pub run: Option<String>,
}

impl Found {
    pub(crate) fn of(
        plan: &Plan,
        schedule: &Schedule,
        history: &History,
        question: &Question,
        given: &Verdict,
    ) -> Found {
        let under = |contract: Contract| -> Verdict {
            if contract == question.contract {
                return given.clone();
            }
            let mut question = Question { contract, ..question.clone() };
            let log = plan.drill.has_log();
            question.exercises.retain(|rule| contract.promises(*rule) && (log || !rule.needs_offsets()));
            judge(history, &question)
        };
        let claims = plan.drill.system.contract;
        let (claimed, durable) = (under(claims), under(Contract::AckedIsDurable));
        let from = schedule.load_began.unwrap_or_default();
        let to = schedule.load_ended.unwrap_or(history.end);
        let deaf = deafness::deafness(history, from, to);
        let mut pairs: Vec<_> = deaf.iter().map(|deaf| (&deaf.listener, &deaf.speaker)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let from_log = durable.rules.get(&Rule::R12).map_or(0, |result| result.count);
        Found {
            claims: contract_name(claims),
            verdict: claimed.outcome,
            broke: claimed.failed().collect(),
            doubted: doubted(&claimed),
            acked: durable.numbers.acked,
            lost: durable.numbers.acked_lost + from_log,
            owed: durable.numbers.owed,
            missing: durable.numbers.missing,
            duplicated: durable.rules.get(&Rule::R4).map_or(0, |result| result.count),
            deaf_seconds: deaf.first().map_or(0.0, |deaf| rounded(deaf.took)),
            deaf_to_the_end: deaf.first().is_some_and(|deaf| deaf.to.is_none()),
            deaf_pairs: pairs.len(),
            ack_stall_seconds: rounded(measure::longest_stall(history, from, to)),
        }
    }

    fn deaf(&self) -> String {
        match (self.deaf_pairs, self.deaf_to_the_end) {
            (0, _) => "never".to_owned(),
            (_, true) => format!("{:.1} s, to the end", self.deaf_seconds),
            (_, false) => format!("{:.1} s", self.deaf_seconds),
        }
    }

    fn verdict(&self) -> String {
        let told = if self.verdict == Outcome::Unknown { &self.doubted } else { &self.broke };
        let rules: Vec<_> = told.iter().map(Rule::to_string).collect();
        let rules = if rules.is_empty() { String::new() } else { format!(" ({})", rules.join(", ")) };
        format!("{}{rules}", self.verdict)
    }

    /// Of the deliveries owed, the share that is missing, in percent.
    fn share(&self) -> f64 {
        if self.owed == 0 { 0.0 } else { self.missing as f64 * 100.0 / self.owed as f64 }
    }
}

fn doubted(verdict: &Verdict) -> Vec<Rule> {
    let doubted = verdict.rules.iter().filter(|(_, result)| matches!(result.state, State::Unknown(_)));
    doubted.map(|(rule, _)| *rule).collect()
}

fn rounded(length: Duration) -> f64 {
    (length.as_secs_f64() * 100.0).round() / 100.0
}

const COLUMNS: [&str; 9] =
    ["system", "claims", "verdict on it", "acked", "lost", "missing deliveries", "doubled", "deaf", "acks stalled"];

/// The table for a terminal.
pub fn as_text(systems: &[Compared]) -> String {
    let mut table = Table::new();
    table.row(COLUMNS.map(str::to_owned));
    for system in systems {
        table.row(cells(system));
    }
    let mut text = table.render("");
    for Compared { system, failed, .. } in systems {
        if let Some(why) = failed {
            let _ = writeln!(text, "{system}: {why}");
        }
    }
    text
}

fn cells(system: &Compared) -> Vec<String> {
    let Some(found) = &system.found else {
        return vec![system.system.clone(), "no verdict".to_owned()];
    };
    vec![
        system.system.clone(),
        found.claims.to_owned(),
        found.verdict(),
        thousands(found.acked),
        thousands(found.lost),
        format!("{} of {} ({:.1} %)", thousands(found.missing), thousands(found.owed), found.share()),
        thousands(found.duplicated),
        found.deaf(),
        format!("{:.2} s", found.ack_stall_seconds),
    ]
}

/// The same as a page that opens without a network. `of` says which drill, engine and seed; `again` is the command.
pub fn as_html(systems: &[Compared], of: &str, again: &str) -> String {
    html::page(systems, of, again)
}
