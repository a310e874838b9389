//! The stored record → the verdict → the report. The end of a run and `chaos judge` come through here, so that a run
//! is judged again exactly as it was judged the first time.

use std::path::{Path, PathBuf};

use chaos_checkers::{Verdict, judge};
use chaos_observe::{History, RunDir, SpanStore};

use crate::{
    compare::Found,
    error::RunError,
    plan::Plan,
    question,
    report::{self, Record},
    schedule::Schedule,
};

/// A judged run.
#[derive(Clone, Debug)]
pub struct Judged {
    pub plan: Plan,
    pub verdict: Verdict,
    /// For people.
    pub report: String,
    pub run: PathBuf,
    /// For a comparison with other systems.
    pub found: Found,
}

/// Judges a run that has just ended: makes the question of what was measured, and writes everything down.
pub(crate) fn first(run: &RunDir, plan: Plan, schedule: &Schedule, seconds: f64) -> Result<Judged, RunError> {
    let history = history(run)?;
    let question = question::of(&plan, schedule, &history);
    let text = serde_json::to_string_pretty(&question).map_err(|error| RunError::record(run.path(), error))?;
    run.write("question.json", &text)?;
    let judged = judged(run, plan, schedule, &history, &question)?;
    let verdict = serde_json::to_string_pretty(&judged.verdict).map_err(|error| RunError::record(run.path(), error))?;
    run.write("verdict.json", &verdict)?;
    run.write("junit.xml", &report::junit(&judged.plan, &judged.verdict, seconds))?;
    run.write("report.txt", &judged.report)?;
    Ok(judged)
}

/// Judges a stored run again. Changes nothing in it.
pub fn rejudge(run: &Path) -> Result<Judged, RunError> {
    let no_run = |why: String| RunError::NoRun { path: run.to_owned(), why };
    let run = RunDir::open(run).map_err(|error| no_run(error.source.to_string()))?;
    let read = |path: PathBuf| std::fs::read_to_string(&path).map_err(|error| RunError::record(&path, error));
    if !run.plan().is_file() {
        return Err(no_run("there is no plan.toml in it".to_owned()));
    }
    let plan: Plan = toml::from_str(&read(run.plan())?).map_err(|error| RunError::record(&run.plan(), error))?;
    if !run.schedule().is_file() {
        return Err(unjudged(&run));
    }
    let schedule: Schedule =
        toml::from_str(&read(run.schedule())?).map_err(|error| RunError::record(&run.schedule(), error))?;
    if let Some(why) = &schedule.stopped {
        return Err(RunError::Unjudged { why: why.clone(), run: run.path().display().to_string() });
    }
    if !run.question().is_file() {
        return Err(unjudged(&run));
    }
    let question = serde_json::from_str(&read(run.question())?);
    let question = question.map_err(|error| RunError::record(&run.question(), error))?;
    judged(&run, plan, &schedule, &history(&run)?, &question)
}

/// One that was ended before it could be judged says why, unless it was killed.
fn unjudged(run: &RunDir) -> RunError {
    let verdict = std::fs::read_to_string(run.verdict()).unwrap_or_default();
    let verdict: serde_json::Value = serde_json::from_str(&verdict).unwrap_or_default();
    let killed = "it did not come to its end: whoever played it was killed, or plays it still";
    let why = verdict["reasons"][0].as_str().unwrap_or(killed).to_owned();
    RunError::Unjudged { why, run: run.path().display().to_string() }
}

fn history(run: &RunDir) -> Result<History, RunError> {
    // Its errors name the file, and the line.
    let history = History::load(&run.history()).map_err(|error| RunError::Harness(error.to_string()))?;
    if history.records == 0 {
        return Err(RunError::record(&run.history(), "the record is empty: nobody did anything in it"));
    }
    Ok(history)
}

fn judged(
    run: &RunDir,
    plan: Plan,
    schedule: &Schedule,
    history: &History,
    question: &chaos_checkers::Question,
) -> Result<Judged, RunError> {
    let spans = SpanStore::load(&run.spans()).map_err(|error| RunError::Harness(error.to_string()))?;
    let verdict = judge(history, question);
    let path = run.path();
    let record = Record { run: path, plan: &plan, schedule, history, spans: &spans, verdict: &verdict };
    let report = report::text(&record);
    let found = Found::of(&plan, schedule, history, question, &verdict);
    Ok(Judged { report, run: path.to_owned(), plan, verdict, found })
}
