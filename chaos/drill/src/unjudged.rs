//! What a run leaves that ended before it could be judged: the same three files as a judged one, so that CI finds them and
//! reads why. There is no verdict in them; their outcome is the name of the exit code.

use std::fmt::Write as _;

use chaos_observe::{RunDir, RunDirError};
use serde::Serialize;

use crate::{error::RunError, exit::Exit, plan::Plan, report, schedule::Schedule};

#[derive(Serialize)]
struct Unjudged {
    /// `aborted` or `harness`.
    outcome: Exit,
    reasons: Vec<String>,
}

/// Writes `verdict.json`, `report.txt` and `junit.xml`.
pub(crate) fn write(run: &RunDir, plan: &Plan, error: &RunError, seconds: f64) -> Result<(), RunDirError> {
    let (outcome, why) = (error.exit(), error.to_string());
    let name = if outcome == Exit::Aborted { "aborted" } else { "not judged" };
    let schedule = std::fs::read_to_string(run.schedule()).unwrap_or_default();
    let schedule: Schedule = toml::from_str(&schedule).unwrap_or_default();
    let unjudged = Unjudged { outcome, reasons: vec![why.clone()] };
    let json = serde_json::to_string_pretty(&unjudged).unwrap_or_else(|error| unreachable!("plain text: {error}"));
    run.write("verdict.json", &json)?;
    run.write("junit.xml", &report::junit_unjudged(plan, name, &why, seconds))?;
    let mut text = format!("{}: {}: {why}\n", plan.drill.name, name.to_uppercase());
    text.push_str(&report::faults_so_far(&schedule));
    let _ = writeln!(text, "Again\n  {} --seed {}", plan.command, plan.drill.seed);
    run.write("report.txt", &text)?;
    Ok(())
}
