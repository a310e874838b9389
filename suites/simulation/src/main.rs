//! `cargo simulate`: play seeds, and tell the story of the first that fails.
//!
//! `cargo simulate --seeds 0..1000 [--scenario NAME] [--variant SWITCHES] [--log | --lines] [--threads N]`. Exit code 0
//! when all
//! are good, 1 when one is not, 2 for a wrong argument.

#![expect(clippy::print_stdout, reason = "what a command says to a person goes to standard output")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::process::ExitCode;

use suites_simulation::scenario::{self, CONTROLS, Control};
use suites_simulation::search::{shrink, sweep};
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

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(fault) => {
            eprintln!("{fault}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let Some(make) = scenario::by_name(&arguments.scenario) else {
        eprintln!("no scenario {:?}; one of {}", arguments.scenario, scenario::names().join(", "));
        return ExitCode::from(2);
    };
    let plan = |seed| {
        let mut plan = make(seed);
        if let Some(variant) = &arguments.variant {
            plan.broken.clone_from(variant);
        }
        plan
    };
    if arguments.log {
        return tell(&play(&plan(arguments.seeds.start), true), true);
    }
    if arguments.lines { lines(&arguments, plan) } else { run_all(&arguments, plan) }
}

const USAGE: &str =
    "cargo simulate --seeds 0..1000 [--scenario NAME] [--variant SWITCHES] [--log | --lines] [--threads N]";

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
    fn add(&mut self, report: Report) {
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
        if !report.good() {
            println!("{}", report.line());
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
fn lines(arguments: &Arguments, plan: impl Fn(u64) -> Plan) -> ExitCode {
    arguments.seeds.clone().for_each(|seed| println!("{}", play(&plan(seed), false).line()));
    ExitCode::SUCCESS
}

/// Which rule is left out, if one is.
fn control(scenario: &str) -> Option<&'static Control> {
    let name = scenario.strip_suffix('!')?;
    CONTROLS.iter().find(|control| control.name == name)
}

fn run_all(arguments: &Arguments, plan: impl Fn(u64) -> Plan + Sync) -> ExitCode {
    let mut sum = Sum::default();
    sweep(arguments.seeds.clone(), arguments.threads, &plan, |report| {
        sum.caught += u64::from(control(&arguments.scenario).is_some_and(|control| control.is_hit(&report)));
        sum.add(report);
        if sum.seeds.is_multiple_of(500) {
            eprintln!("{sum}");
        }
    });
    println!("{:?}\n{sum}", sum.happened);
    if control(&arguments.scenario).is_some() {
        println!("caught in {} of {}", sum.caught, sum.seeds);
    }
    let Some(first) = sum.bad.into_iter().min_by_key(|report| report.plan.seed) else { return ExitCode::SUCCESS };
    let violated = first.violated();
    let small = shrink(&first.plan, 60, |report| {
        if violated.is_empty() { !report.drained } else { report.violated().iter().any(|rule| violated.contains(rule)) }
    });
    println!("\nseed {} with {} of its {} faults:", small.seed, small.faults.len(), first.plan.faults.len());
    if let Some(control) = control(&arguments.scenario) {
        println!("left out: {}", control.left_out);
    }
    tell(&play(&small, true), false)
}

/// The storyboard: faults, elections, and what concerns the messages in question; then what was violated.
fn tell(report: &Report, everything: bool) -> ExitCode {
    let lines = if everything { report.story.iter().collect() } else { concerning(report) };
    for line in lines.iter().take(if everything { usize::MAX } else { SHOWN }) {
        println!("{line}");
    }
    if !everything && lines.len() > SHOWN {
        println!("… {} lines more", lines.len() - SHOWN);
    }
    for anomaly in anomalies(&report.verdict) {
        println!("{anomaly}");
    }
    println!("{}", report.line());
    if report.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const SHOWN: usize = 400;

/// What a reader needs of the story: events; what the messages in question met; and the WAIT that an ack of one of them
/// rests on.
fn concerning(report: &Report) -> Vec<&String> {
    let examples = report.verdict.rules.values().flat_map(|rule| &rule.examples);
    let messages: BTreeSet<_> = examples.filter_map(|anomaly| anomaly.message.as_deref()).collect();
    let events = ["fault", "redis-", "chat-", "healed", "slot", "clock", "trimmed"];
    // By server and chat node: where the last WAIT was answered. By message: who appended it last, and where.
    let (mut waits, mut appends) = (BTreeMap::new(), BTreeMap::new());
    let mut kept = BTreeSet::new();
    for (at, line) in report.story.iter().enumerate() {
        let words: Vec<_> = line.split_whitespace().skip(2).collect();
        let message = messages.iter().find(|message| line.contains(**message));
        match (&words[..], message) {
            ([server, "answers", "WAIT", _, "of", node, ..], _) => {
                waits.insert((*server, *node), at);
                continue;
            }
            ([server, "takes", "from", node, "FCALL", ..], Some(message)) => {
                appends.insert(*message, (*server, *node));
            }
            ([_, _, "acked", ..], Some(message)) => {
                kept.extend(appends.get(message).and_then(|connection| waits.get(connection)));
            }
            ([_, "takes", "from", ..], None) if !messages.is_empty() => continue,
            _ => {}
        }
        if messages.is_empty() || message.is_some() || events.iter().any(|word| line.contains(word)) {
            kept.insert(at);
        }
    }
    kept.into_iter().map(|at| &report.story[at]).collect()
}

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
                "--variant" => arguments.variant = Some(value()?),
                "--threads" => arguments.threads = value()?.parse().map_err(|_| "--threads is a number".to_owned())?,
                "--log" => arguments.log = true,
                "--lines" => arguments.lines = true,
                other => return Err(format!("unknown argument {other:?}")),
            }
        }
        Ok(arguments)
    }
}

/// `a..b`, or one seed.
fn range(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is no seed"));
    match text.split_once("..") {
        None => number(text).map(|seed| seed..seed + 1),
        Some((from, to)) => Ok(number(from)?..number(to)?),
    }
}
