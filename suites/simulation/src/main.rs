//! `cargo simulate`: play seeds, and tell the story of the first that fails.
//!
//! `cargo simulate --seeds 0..1000 [--scenario NAME] [--variant SWITCHES] [--log | --lines] [--threads N]`. Exit code 0
//! when all
//! are good, 1 when one is not, 2 for a wrong argument.

#![expect(clippy::print_stdout, reason = "what a command says to a person goes to standard output")]

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::process::ExitCode;

use suites_simulation::scenario;
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
        let Sum { seeds, acked, received, promotions, failed_elections, .. } = self;
        write!(out, "{seeds} seeds of {mean:.1} s, {acked} acked, {received} received, {promotions} promotions, ")?;
        write!(out, "{failed_elections} failed elections, {} bad {:?}", self.bad.len(), self.by_rule)
    }
}

/// The last line of each seed, in order: for a comparison with another build's.
fn lines(arguments: &Arguments, plan: impl Fn(u64) -> Plan) -> ExitCode {
    arguments.seeds.clone().for_each(|seed| println!("{}", play(&plan(seed), false).line()));
    ExitCode::SUCCESS
}

fn run_all(arguments: &Arguments, plan: impl Fn(u64) -> Plan + Sync) -> ExitCode {
    let mut sum = Sum::default();
    sweep(arguments.seeds.clone(), arguments.threads, &plan, |report| {
        sum.add(report);
        if sum.seeds.is_multiple_of(500) {
            eprintln!("{sum}");
        }
    });
    println!("{:?}\n{sum}", sum.happened);
    let Some(first) = sum.bad.into_iter().min_by_key(|report| report.plan.seed) else { return ExitCode::SUCCESS };
    let violated = first.violated();
    let small = shrink(&first.plan, 60, |report| {
        if violated.is_empty() { !report.drained } else { report.violated().iter().any(|rule| violated.contains(rule)) }
    });
    println!("\nseed {} with {} of its {} faults:", small.seed, small.faults.len(), first.plan.faults.len());
    tell(&play(&small, true), false)
}

/// The storyboard: what went wrong, the faults, and what concerns the messages in question.
fn tell(report: &Report, everything: bool) -> ExitCode {
    let shown = if everything { usize::MAX } else { 400 };
    let anomalies = anomalies(&report.verdict);
    let messages: Vec<_> = report.verdict.rules.values().flat_map(|rule| &rule.examples).collect();
    let messages: Vec<_> = messages.iter().filter_map(|anomaly| anomaly.message.clone()).collect();
    let concerns = |line: &&String| {
        let event =
            ["redis-", "fault", "chat-", "healed", "slot", "clock", "trimmed"].iter().any(|word| line.contains(word));
        event || messages.iter().any(|message| line.contains(message.as_str()))
    };
    let lines: Vec<_> =
        report.story.iter().filter(|line| everything || messages.is_empty() || concerns(line)).collect();
    for line in lines.iter().take(shown) {
        println!("{line}");
    }
    if lines.len() > shown {
        println!("… {} lines more", lines.len() - shown);
    }
    for fault in &report.plan.faults {
        println!("fault {fault}");
    }
    for anomaly in anomalies {
        println!("{anomaly}");
    }
    println!("{}", report.line());
    if report.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
