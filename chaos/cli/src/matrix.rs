//! `chaos matrix`: drills on every engine, and each promotion beside what that engine's own formula allows.
//!
//! Each run is this program again (`chaos drill …`), one after the other: what a user would run, with an end of its own.
//! The table is read from the stored runs.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, PoisonError},
};

use chaos_checkers::{Promotion, Question};
use chaos_cluster::{EngineChoice, EngineName};
use chaos_drill::{EngineSeen, Exit, Gathered, Judged, Overrides, Stop, load, rejudge};
use clap::builder::PossibleValuesParser;
use nix::{
    errno::Errno,
    sys::{prctl, signal},
    unistd::{Pid, getpid, getppid},
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{environment::Environment, stop, terminal};

const DRILLS: [&str; 4] = ["primary-kill", "primary-pause", "node-kill", "rolling-restart"];
const CONTAINERS: &str = "containers";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Shipped drills, or drill files
    #[arg(value_name = "NAME|FILE", default_values = DRILLS)]
    drills: Vec<String>,
    /// Engines to run them on, each fetched when it is not there; without any: all that can be
    #[arg(long, value_name = "ENGINE,…", value_delimiter = ',')]
    #[arg(value_parser = PossibleValuesParser::new(EngineName::ALL.map(EngineName::as_str)))]
    engines: Vec<String>,
    /// Where the clusters run; in containers an engine is its official image
    #[arg(long, default_value = "processes", value_parser = PossibleValuesParser::new(["processes", CONTAINERS]))]
    backend: String,
    /// Where run directories go, a folder for each engine
    #[arg(long, value_name = "FOLDER", default_value = "target/matrix")]
    runs: PathBuf,
    /// As JSON: one object a run
    #[arg(long)]
    json: bool,
}

/// One run, as it is told.
struct Row {
    drill: String,
    engine: String,
    verdict: String,
    exit: Exit,
    promotions: Vec<Promotion>,
    acked: u64,
    lost: u64,
    run: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let (mut names, mut wrong) = (Vec::new(), Gathered::default());
    for drill in &arguments.drills {
        names.extend(wrong.note(load(drill, &Overrides::default())).map(|loaded| (drill, loaded.name)));
    }
    if !wrong.is_empty() {
        return terminal::refuse(&wrong, Exit::Usage);
    }
    let (engines, left_out) = match arguments.engines() {
        Ok(engines) => engines,
        Err(why) => return terminal::refuse(&why, Exit::Harness),
    };
    if let Some(why) = &left_out {
        terminal::remark(why);
    }
    // On this very thread: each run is told when the thread ends that started it.
    let played = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(arguments.play_all(&names, &engines)),
        Err(error) => Err(format!("cannot start the runtime: {error}")),
    };
    let (rows, cut_short) = match played {
        Ok(played) => played,
        Err(why) => return terminal::refuse(&why, Exit::Harness),
    };
    terminal::out(&if arguments.json { as_json(&rows).to_string() } else { table(&rows) });
    if let Some(why) = &left_out {
        terminal::remark(why);
    }
    let ends = rows.iter().map(|row| row.exit).chain(cut_short.then_some(Exit::Aborted));
    ends.max_by_key(|exit| severity(*exit)).unwrap_or(Exit::Pass)
}

impl Arguments {
    /// Every drill on every engine, and whether somebody asked to stop before the last.
    async fn play_all(&self, names: &[(&String, String)], engines: &[String]) -> Result<(Vec<Row>, bool), String> {
        let (stop, mut rows) = (Stop::default(), Vec::new());
        stop::on_signals(stop.clone()).map_err(|error| format!("cannot listen for Ctrl-C: {error}"))?;
        for ((drill, name), engine) in names.iter().flat_map(|named| engines.iter().map(move |engine| (named, engine)))
        {
            if stop.reason().is_some() {
                break;
            }
            terminal::remark(&format!("{name} on {engine}"));
            let runs = self.runs.join(engine);
            let exit = play(drill, engine, &self.backend, &runs, &stop).await;
            let exit = exit.map_err(|error| format!("chaos cannot run itself: {error}"))?;
            rows.push(row(name, engine, exit, &runs.join(name).join("latest")));
        }
        Ok((rows, stop.reason().is_some()))
    }

    /// What to run on, and, when nobody named engines, why one of them is left out.
    fn engines(&self) -> Result<(Vec<String>, Option<String>), String> {
        if !self.engines.is_empty() {
            return Ok((self.engines.clone(), None));
        }
        let mut engines = EngineName::FETCHED.to_vec();
        let mut left_out = None;
        if self.backend == CONTAINERS {
            // The one that only an image can be.
            left_out = no_image_of(EngineName::Redis72)?;
            if left_out.is_none() {
                engines = EngineName::ALL.to_vec();
            }
        }
        Ok((engines.into_iter().map(|name| name.as_str().to_owned()).collect(), left_out))
    }
}

/// Why there is nothing to make an image of an engine of; an error when there is nothing to make containers with.
fn no_image_of(name: EngineName) -> Result<Option<String>, String> {
    let seen = Mutex::new(String::new());
    let note = |why: &str| why.clone_into(&mut seen.lock().unwrap_or_else(PoisonError::into_inner));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    let (environment, choice) = (Environment::read(), EngineChoice::Named(name));
    let found = runtime.block_on(environment.has_official_image(choice, &note)).map_err(|error| error.to_string())?;
    let here = || environment.engine_here(choice).is_ok_and(|engine| engine.is_some());
    let why = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((!found && !here()).then(|| format!("LEFT OUT: {}: {why}, which has none", name.as_str())))
}

/// Its own report would hide the table; it is in the run directory.
async fn play(drill: &str, engine: &str, backend: &str, runs: &Path, stop: &Stop) -> io::Result<Exit> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["drill", drill, "--engine", engine, "--backend", backend, "--runs"]).arg(runs);
    // One image is one engine.
    command.env_remove("HOLDFAST_REDIS_IMAGE");
    let mut run = ended_with_this_thread(&mut command).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let ended = tokio::select! {
        ended = run.wait() => ended?,
        _ = stop.asked() => {
            if let Some(id) = run.id() {
                signal::kill(Pid::from_raw(id.cast_signed()), signal::SIGTERM)?;
            }
            // It heals.
            run.wait().await?
        }
    };
    let code = ended.code();
    // Ended by a signal, it said nothing.
    Ok(Exit::ALL.into_iter().find(|exit| code == Some(i32::from(exit.code()))).unwrap_or(Exit::Harness))
}

/// Told to end when this thread ends, whatever ends it. In a process group of its own, so that a Ctrl-C reaches it once, by
/// this program: the second would end it at once.
fn ended_with_this_thread(command: &mut Command) -> &mut Command {
    let parent = getpid();
    let bind = move || {
        prctl::set_pdeathsig(signal::SIGTERM)?;
        // It may have died before the signal was set.
        if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are made: prctl and getppid, no allocation, no lock.
    unsafe { command.process_group(0).pre_exec(bind) }
}

fn row(drill: &str, engine: &str, exit: Exit, run: &Path) -> Row {
    let row = |engine, verdict, promotions, acked, lost| {
        let (drill, run) = (drill.to_owned(), run.to_owned());
        Row { drill, engine, verdict, exit, promotions, acked, lost, run }
    };
    // Such a run has no verdict, and `latest` may be of an earlier one.
    if !matches!(exit, Exit::Pass | Exit::Fail | Exit::Unknown) {
        return row(engine.to_owned(), exit.meaning().to_owned(), Vec::new(), 0, 0);
    }
    match rejudge(run) {
        Ok(Judged { plan, verdict, .. }) => {
            let seen = |EngineSeen { kind, version, .. }: EngineSeen| format!("{kind} {version}");
            let engine = plan.engine.map_or_else(|| engine.to_owned(), seen);
            let failed: Vec<_> = verdict.failed().map(|rule| format!(" {rule}")).collect();
            let numbers = &verdict.numbers;
            let outcome = format!("{}{}", verdict.outcome, failed.concat());
            row(engine, outcome, promotions(run), numbers.acked, numbers.acked_lost)
        }
        Err(error) => row(engine.to_owned(), error.to_string(), Vec::new(), 0, 0),
    }
}

/// Of drills that take a primary away; others have no budget for one.
fn promotions(run: &Path) -> Vec<Promotion> {
    let text = fs::read_to_string(run.join("question.json")).unwrap_or_default();
    serde_json::from_str(&text).map_or_else(|_| Vec::new(), |question: Question| question.promotions)
}

/// The worst of a matrix is its end.
fn severity(exit: Exit) -> u8 {
    match exit {
        Exit::Pass => 0,
        Exit::Unknown => 1,
        Exit::Aborted => 2,
        Exit::Fail => 3,
        Exit::Usage | Exit::Harness => 4,
    }
}

fn table(rows: &[Row]) -> String {
    let head = ["drill", "engine", "promoted after", "its budget", "acked", "lost", "verdict"].map(str::to_owned);
    let cells = |row: &Row| {
        let promoted = row.promotions.iter().map(took).collect::<Vec<_>>().join(", ");
        let budget = row.promotions.first().map_or_else(String::new, budget);
        let (acked, lost) = (row.acked.to_string(), row.lost.to_string());
        [row.drill.clone(), row.engine.clone(), promoted, budget, acked, lost, row.verdict.clone()]
    };
    let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..7).map(width).collect();
    let line = |cells: &[String; 7]| {
        let padded: Vec<_> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn took(promotion: &Promotion) -> String {
    let Promotion { killed_at, promoted_at, failed_elections, .. } = promotion;
    let took = promoted_at.map_or_else(|| "never".to_owned(), |at| seconds(at.since(*killed_at).as_millis()));
    match failed_elections {
        0 => took,
        failed => format!("{took} ({failed} failed elections)"),
    }
}

/// Without failed elections, each of which may cost more.
fn budget(promotion: &Promotion) -> String {
    format!("{} to {}", seconds(promotion.earliest_ms.into()), seconds(promotion.latest_ms.into()))
}

fn seconds(millis: u128) -> String {
    format!("{}.{:02} s", millis / 1000, millis % 1000 / 10)
}

fn as_json(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        json!({
            "drill": row.drill, "engine": row.engine, "verdict": row.verdict, "exit": row.exit.code(),
            "promotions": row.promotions, "acked": row.acked, "lost": row.lost, "run": row.run,
        })
    };
    rows.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use chaos_observe::At;

    use super::*;

    fn ran(drill: &str, exit: Exit, promotions: Vec<Promotion>) -> Row {
        let (engine, verdict, run) = ("Valkey 9.1.2".to_owned(), "pass".to_owned(), PathBuf::new());
        Row { drill: drill.to_owned(), engine, verdict, exit, promotions, acked: 7313, lost: 0, run }
    }

    fn promotion(promoted_at: Option<At>, failed_elections: u32) -> Promotion {
        Promotion {
            shard: "1".to_owned(),
            killed_at: At::from_millis(5_000),
            promoted_at,
            failed_elections,
            node_timeout_ms: 1_000,
            earliest_ms: 950,
            latest_ms: 2_266,
            formula: String::new(),
        }
    }

    #[test]
    fn a_promotion_stands_beside_its_own_budget() {
        let kept = ran("primary-kill", Exit::Pass, vec![promotion(Some(At::from_millis(6_240)), 0)]);
        let rows = [kept, ran("node-kill", Exit::Pass, Vec::new())];
        let lines: Vec<_> = table(&rows).lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "drill         engine        promoted after  its budget        acked  lost  verdict");
        assert_eq!(lines[1], "primary-kill  Valkey 9.1.2  1.24 s          0.95 s to 2.26 s  7313   0     pass");
        assert_eq!(lines[2], "node-kill     Valkey 9.1.2                                    7313   0     pass");
        assert_eq!(took(&promotion(None, 0)), "never");
        assert_eq!(took(&promotion(Some(At::from_millis(10_900)), 1)), "5.90 s (1 failed elections)");
    }

    #[test]
    fn a_matrix_ends_as_its_worst_run() {
        let severities = [Exit::Pass, Exit::Unknown, Exit::Aborted, Exit::Fail, Exit::Harness].map(severity);
        assert!(severities.is_sorted(), "{severities:?}");
    }
}
