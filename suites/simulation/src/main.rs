//! `cargo simulate`: play seeds, and tell the story of the first that fails.
//!
//! `cargo simulate --seeds 0..1000 [--scenario NAME] [--variant SWITCHES] [--log | --lines] [--threads N]`. Exit code 0
//! when all are good, 1 when one is not, 2 for a wrong argument.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write as _};
use std::ops::Range;
use std::process::ExitCode;

use suites_simulation::scenario::{self, Control};
use suites_simulation::search::{shrink, sweep};
use suites_simulation::storyboard::{astray, concerning};
use suites_simulation::world::plan::Plan;
use suites_simulation::world::run::{Report, anomalies, play};

struct Arguments {
    seeds: Range<u64>,
    scenario: String,
    variant: Option<String>,
    log: bool,
    lines: bool,
    threads: usize,
}

const USAGE: &str =
    "cargo simulate --seeds 0..1000 [--scenario NAME] [--variant SWITCHES] [--log | --lines] [--threads N]";

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--help") {
        say(format_args!(
            "{USAGE}\nscenarios, from the third on also with ! (its rule left out): {}",
            scenario::names().join(", ")
        ));
        return ExitCode::SUCCESS;
    }
    match begin() {
        Ok(code) => code,
        Err(fault) => {
            eprintln!("simulate: {fault}");
            ExitCode::from(2)
        }
    }
}

fn begin() -> Result<ExitCode, String> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let make = scenario::by_name(&arguments.scenario)
        .ok_or_else(|| format!("no scenario {:?}; one of {}", arguments.scenario, scenario::names().join(", ")))?;
    let plan = |seed| {
        let mut plan = make(seed);
        if let Some(variant) = &arguments.variant {
            // Beside what the scenario leaves out.
            plan.broken = format!("{},{variant}", plan.broken);
        }
        plan
    };
    let judge = Judge { none_astray: scenario::control(&arguments.scenario).is_some_and(Control::none_astray) };
    if arguments.log {
        return Ok(judge.tell(&play(&plan(arguments.seeds.start), true), true));
    }
    Ok(if arguments.lines { lines(&arguments, judge, plan) } else { run_all(&arguments, judge, plan) })
}

/// What makes a world bad: its rules, and where a scenario is about them its stray writes.
#[derive(Clone, Copy, Default)]
struct Judge {
    none_astray: bool,
}

impl Judge {
    /// Nothing else is wrong with it.
    fn only_astray(self, report: &Report) -> bool {
        self.none_astray && report.stray_writes > 0 && report.good()
    }

    fn good(self, report: &Report) -> bool {
        report.good() && !self.only_astray(report)
    }

    fn line(self, report: &Report) -> String {
        let line = report.line();
        match line.split_once(": ") {
            Some((outcome, numbers)) if self.only_astray(report) => {
                format!("{outcome} but for {} stray writes: {numbers}", report.stray_writes)
            }
            _ => line,
        }
    }

    /// The storyboard: faults, elections, and what concerns the messages or the stray writes in question; then what was
    /// violated.
    fn tell(self, report: &Report, everything: bool) -> ExitCode {
        let anomalous = report.verdict.rules.values().flat_map(|rule| &rule.examples);
        let lines = match everything {
            true => report.story.clone(),
            false if self.only_astray(report) => astray(&report.story),
            false => concerning(&report.story, anomalous),
        };
        let shown = if everything { lines.len() } else { lines.len().min(SHOWN) };
        lines[..shown].iter().for_each(say);
        if shown < lines.len() {
            say(format_args!("… {} lines more", lines.len() - shown));
        }
        anomalies(&report.verdict).iter().for_each(say);
        say(self.line(report));
        self.code(report)
    }

    fn code(self, report: &Report) -> ExitCode {
        if self.good(report) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// A line to standard output; whoever reads it may have gone (`| head`), and then there is no more to do.
fn say(line: impl fmt::Display) {
    if writeln!(io::stdout(), "{line}").is_err() {
        std::process::exit(BROKEN_PIPE);
    }
}

/// As a shell tells of a program that SIGPIPE ended.
const BROKEN_PIPE: i32 = 128 + 13;

/// What all seeds came to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    acked: u64,
    received: u64,
    promotions: u64,
    failed_elections: u64,
    stray_writes: u64,
    /// Of a control: worlds in which what it leaves out shows.
    caught: u64,
    lasted_ms: u64,
    happened: BTreeMap<&'static str, u64>,
    by_rule: BTreeMap<String, u64>,
    bad: Vec<Report>,
}

impl Sum {
    fn add(&mut self, judge: Judge, report: Report) {
        self.seeds += 1;
        self.acked += report.verdict.numbers.acked;
        self.received += report.verdict.numbers.received;
        self.promotions += report.promotions;
        self.failed_elections += report.failed_elections;
        self.stray_writes += report.stray_writes;
        self.lasted_ms += report.lasted_ms;
        for (kind, times) in &report.happened {
            *self.happened.entry(kind).or_default() += times;
        }
        if !judge.good(&report) {
            say(judge.line(&report));
            for rule in report.violated() {
                *self.by_rule.entry(rule.to_string()).or_default() += 1;
            }
            self.bad.push(report);
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mean = self.lasted_ms as f64 / 1000.0 / self.seeds.max(1) as f64;
        let Sum { seeds, acked, received, promotions, failed_elections, stray_writes, .. } = self;
        write!(out, "{seeds} seeds of {mean:.1} s, {acked} acked, {received} received, {promotions} promotions, ")?;
        write!(out, "{failed_elections} failed elections, {stray_writes} stray writes, ")?;
        write!(out, "{} bad {:?}", self.bad.len(), self.by_rule)
    }
}

/// The last line of each seed, in order: for a comparison with another build's.
fn lines(arguments: &Arguments, judge: Judge, plan: impl Fn(u64) -> Plan) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for seed in arguments.seeds.clone() {
        let report = play(&plan(seed), false);
        say(judge.line(&report));
        if !judge.good(&report) {
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Which rule is left out, if one is.
fn left_out(scenario: &str) -> Option<&'static Control> {
    scenario::control(scenario).filter(|_| scenario.ends_with('!'))
}

fn run_all(arguments: &Arguments, judge: Judge, plan: impl Fn(u64) -> Plan + Sync) -> ExitCode {
    let mut sum = Sum::default();
    let control = left_out(&arguments.scenario);
    sweep(arguments.seeds.clone(), arguments.threads, &plan, |report| {
        sum.caught += u64::from(control.is_some_and(|control| control.is_hit(&report)));
        sum.add(judge, report);
        if sum.seeds.is_multiple_of(500) {
            eprintln!("{sum}");
        }
    });
    say(format_args!("{:?}\n{sum}", sum.happened));
    if control.is_some() {
        say(format_args!("caught in {} of {}", sum.caught, sum.seeds));
    }
    let Some(first) = sum.bad.into_iter().min_by_key(|report| report.plan.seed) else { return ExitCode::SUCCESS };
    let (violated, only_astray) = (first.violated(), judge.only_astray(&first));
    let small = shrink(&first.plan, 60, |report| {
        if violated.is_empty() {
            judge.only_astray(report) == only_astray && !judge.good(report)
        } else {
            // What an unsound world violates says nothing, unless that is how it was found.
            (report.sound() || !first.sound()) && report.violated().iter().any(|rule| violated.contains(rule))
        }
    });
    let (fewest, all) = (small.faults.len(), first.plan.faults.len());
    say(format_args!("\nseed {} with {fewest} of its {all} faults:", small.seed));
    if let Some(control) = control {
        say(format_args!("left out: {}", control.left_out));
    }
    judge.tell(&play(&small, true), false)
}

const SHOWN: usize = 400;

impl Arguments {
    fn read(mut given: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let mut arguments = Arguments {
            seeds: 0..100,
            scenario: "mixed".to_owned(),
            variant: None,
            log: false,
            lines: false,
            threads: 2,
        };
        while let Some(name) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{name} needs a value"));
            match name.as_str() {
                "--seeds" => arguments.seeds = range(&value()?)?,
                "--scenario" => arguments.scenario = value()?,
                "--variant" => arguments.variant = Some(variant(value()?)?),
                "--threads" => arguments.threads = threads(&value()?)?,
                "--log" => arguments.log = true,
                "--lines" => arguments.lines = true,
                other => return Err(format!("unknown argument {other:?}")),
            }
        }
        let count = arguments.seeds.end - arguments.seeds.start;
        if arguments.log && count > 1 {
            return Err(format!("--log tells the story of one seed, not of {count}: name it, as --seeds 7"));
        }
        if arguments.log && arguments.lines {
            return Err("--log tells one seed's story, --lines the last line of each: not both".to_owned());
        }
        if !cfg!(debug_assertions) && arguments.scenario.ends_with('!') {
            return Err(WHOLE_PROTOCOL_ONLY.to_owned());
        }
        Ok(arguments)
    }
}

fn threads(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("--threads {text:?} is not a number from 1"))
}

const WHOLE_PROTOCOL_ONLY: &str =
    "--variant and ! need a build with debug assertions; this one has the whole protocol only";

/// Switches that exist.
#[cfg(debug_assertions)]
fn variant(text: String) -> Result<String, String> {
    text.parse::<system_delivery::Broken>().map_err(|fault| format!("--variant {text:?}: {fault}"))?;
    Ok(text)
}

#[cfg(not(debug_assertions))]
fn variant(_: String) -> Result<String, String> {
    Err(WHOLE_PROTOCOL_ONLY.to_owned())
}

/// `a..b`, or one seed.
fn range(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| {
        text.parse::<u64>().map_err(|_| format!("--seeds {text:?} is neither a seed nor a range of them, as 0..100"))
    };
    match text.split_once("..") {
        None => {
            let seed = number(text)?;
            let end = seed
                .checked_add(1)
                .ok_or_else(|| format!("--seeds {text:?} is one too many: no range ends behind it"))?;
            Ok(seed..end)
        }
        Some((from, to)) => {
            let seeds = number(from)?..number(to)?;
            if seeds.is_empty() {
                Err(format!("--seeds {text:?} holds no seed: it ends where it begins, or before"))
            } else {
                Ok(seeds)
            }
        }
    }
}
