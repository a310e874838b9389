//! What the simulation shows in every `cargo test`: mixed faults break nothing, each rule that is left out is caught in
//! the scenario aimed at it, and a seed is a world. More seeds: `cargo simulate`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use chaos_checkers::Rule;
use suites_simulation::scenario::{CONTROLS, Control};
use suites_simulation::search::{shrink, sweep};
use suites_simulation::world::fault::{Fault, MIXED, Planned, Way};
use suites_simulation::world::plan::Plan;
use suites_simulation::world::run::{Report, anomalies, examined, play};

const THREADS: usize = 2;

/// What the mix is for. R11 is about messages whose fate stays open, and users here send until they are acked; the
/// others need refusals, strangers, canaries or budgets.
const EXERCISED: [Rule; 9] =
    [Rule::R1, Rule::R2, Rule::R4, Rule::R5, Rule::R6, Rule::R7, Rule::R8, Rule::R10, Rule::R12];

fn played(seeds: std::ops::Range<u64>, plan: impl Fn(u64) -> Plan + Sync) -> Vec<Report> {
    let mut reports = Vec::new();
    sweep(seeds, THREADS, plan, |report| reports.push(report));
    reports
}

fn all_good(what: &str, reports: &[Report]) {
    let bad: Vec<_> = reports.iter().filter(|report| !report.good()).collect();
    let told: Vec<_> =
        bad.iter().map(|report| format!("{}\n  {}", report.line(), anomalies(&report.verdict).join("\n  "))).collect();
    assert!(bad.is_empty(), "{what}:\n{}", told.join("\n"));
}

#[test]
fn mixed_faults_break_no_promise() {
    let reports = played(0..10, Plan::mixed);
    all_good("mixed", &reports);
    let promotions: u64 = reports.iter().map(|report| report.promotions).sum();
    let resumed: u64 = reports.iter().map(|report| report.verdict.numbers.resumed).sum();
    let happened: BTreeSet<_> = reports.iter().flat_map(|r| &r.happened).filter(|(_, n)| **n > 0).collect();
    let kinds: BTreeSet<_> = happened.into_iter().map(|(kind, _)| *kind).collect();
    assert!(kinds.len() >= 18, "few kinds of faults found their target: {kinds:?}");
    let examined =
        |rule: &Rule| reports.iter().map(|r| examined(&r.verdict).get(rule).copied().unwrap_or(0)).sum::<u64>();
    let idle: Vec<_> = EXERCISED.iter().filter(|rule| examined(rule) == 0).collect();
    assert!(idle.is_empty(), "rules that nothing in the mix could have violated: {idle:?}");
    assert!(promotions >= 5 && resumed >= 50, "too quiet: {promotions} promotions, {resumed} sessions resumed");
}

#[test]
fn a_sweep_ends_where_seeds_end() {
    assert_eq!(played(u64::MAX - 2..u64::MAX, |seed| Plan { chat_ms: 500, ..Plan::quiet(seed) }).len(), 2);
}

/// In the plans alone, which cost nothing; that they find their targets is counted where worlds are played.
#[test]
fn every_kind_of_fault_is_in_the_mix() {
    let planned: BTreeSet<_> = (0..500).flat_map(|seed| Plan::mixed(seed).faults).map(|p| p.fault.kind()).collect();
    assert_eq!(planned, BTreeSet::from(MIXED));
}

/// The promise is that shards miss their primaries one at a time, and that a shard heals before its next episode: a
/// schedule that broke it would blame the protocol for what is not promised.
#[test]
fn episodes_of_shards_do_not_overlap() {
    let shard = |fault: &Fault| match *fault {
        Fault::KillPrimary { shard, .. }
        | Fault::KillReplica { shard, .. }
        | Fault::PausePrimary { shard }
        | Fault::PauseReplica { shard, .. }
        | Fault::CutOffPrimary { shard, .. }
        | Fault::CutReplica { shard, .. }
        | Fault::StallThenKill { shard }
        | Fault::Lag { shard, .. }
        | Fault::LagThenKill { shard, .. }
        | Fault::CutReplicaBus { shard, .. }
        | Fault::CutPrimaryBus { shard }
        | Fault::Detach { shard, .. } => Some(shard),
        _ => None,
    };
    for seed in 0..4000 {
        let mut until = BTreeMap::new();
        for planned in Plan::mixed(seed).faults {
            let Some(shard) = shard(&planned.fault) else { continue };
            let free: &mut u64 = until.entry(shard).or_default();
            assert!(planned.at >= *free, "seed {seed}: {planned} at {} ms, not free before {free}", planned.at);
            *free = planned.at + planned.lasts;
        }
    }
}

/// Elections that fail by chance can outlast what a schedule foresees.
#[test]
fn no_second_shard_loses_its_primary_before_the_first_is_replaced() {
    let kill = |shard| Fault::KillPrimary { shard, machine: false };
    let mut plan = Plan::quiet(1);
    plan.redis.persisted = false;
    plan.faults = vec![
        Planned { at: 3000, lasts: 9000, fault: Fault::SpoilElections { shard: 0, nth: None } },
        Planned { at: 3000, lasts: 500, fault: kill(0) },
        Planned { at: 9000, lasts: 500, fault: kill(1) },
    ];
    let report = play(&plan, false);
    assert_eq!(report.happened.get("KillPrimary"), Some(&1), "{}", report.line());
    all_good("the second kill is passed over", &[report]);
}

#[test]
fn each_rule_that_is_left_out_is_caught() {
    let caught = |control: &Control| {
        let reports = played(0..control.seeds, |seed| control.broken(seed));
        reports.iter().filter(|report| control.is_hit(report)).count() as u64
    };
    let missed: Vec<_> = CONTROLS
        .iter()
        .map(|control| (control, caught(control)))
        .filter(|(control, caught)| *caught < control.at_least)
        .map(|(control, caught)| {
            format!("{}: {caught} of {}, at least {}", control.name, control.seeds, control.at_least)
        })
        .collect();
    assert!(missed.is_empty(), "survived: {missed:#?}");
}

/// The same seeds as above; a scenario that several rules share is played once.
#[test]
fn the_whole_protocol_is_good_where_a_part_of_it_is_not() {
    let mut scenarios = BTreeMap::<_, Vec<_>>::new();
    for control in CONTROLS {
        scenarios.entry(control.scenario as usize).or_default().push(control);
    }
    for controls in scenarios.values() {
        let seeds = controls.iter().map(|control| control.seeds).max().unwrap_or(0);
        let reports = played(0..seeds, controls[0].scenario);
        for control in controls {
            all_good(control.name, &reports);
            let hit = reports.iter().any(|report| control.is_hit(report));
            assert!(!hit, "{}: a hit by the whole protocol", control.name);
        }
    }
}

/// What a scenario is about must come to pass in it, or it shows nothing. Rooms are trimmed under a failover, and refuse
/// what is too much; nobody who was away for less than the window is told that history is gone, or R10 fails.
#[test]
fn the_log_trims_and_refuses_over_a_failover() {
    let control = CONTROLS.iter().find(|control| control.name == "trim-young").expect("a control");
    for report in played(0..2, control.scenario) {
        let told = format!("{}, {} trimmed, {} refusals", report.line(), report.trimmed, report.refusals);
        assert!(report.good() && report.promotions == 1 && report.trimmed >= 50 && report.refusals > 0, "{told}");
    }
}

/// docs/protocol.md tells each control with what is demanded of it.
#[test]
fn every_control_is_told_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let told = std::fs::read_to_string(path).expect("docs/protocol.md");
    let dropping = |control: &&Control| control.name.starts_with("drop-");
    for control in CONTROLS.iter().filter(|control| !dropping(control)) {
        let row = told.lines().find(|line| line.contains(&format!("--scenario {}!`", control.name)));
        let demand = match control.seeds {
            4 => control.at_least.to_string(),
            seeds => format!("{} of {seeds}", control.at_least),
        };
        let ends = row.is_some_and(|row| row.ends_with(&format!(" {demand} |")));
        assert!(ends, "{}: at least {demand}, told as {row:?}", control.name);
    }
    let rows = told.lines().filter(|line| line.starts_with("| ") && line.contains("--scenario ")).count();
    assert_eq!(
        rows,
        CONTROLS.iter().filter(|control| !dropping(control)).count(),
        "rows of controls that are not there"
    );
    for control in CONTROLS.iter().filter(dropping) {
        assert!(told.contains(&format!("`{}!`", control.name)), "{} is not told", control.name);
    }
}

/// Not in one process only: nothing of a world may come from where or when it runs.
#[test]
fn a_seed_is_the_same_world_in_two_processes() {
    let last_line = || {
        let program = env!("CARGO_BIN_EXE_simulate");
        let run = Command::new(program).args(["--seeds", "7", "--log"]).output().expect("the simulate binary");
        String::from_utf8_lossy(&run.stdout).lines().last().unwrap_or_default().to_owned()
    };
    let line = last_line();
    assert!(line.contains("hash"), "{line}");
    assert_eq!(line, last_line());
}

#[test]
fn a_task_that_panics_makes_a_world_bad() {
    let nobody = Fault::CutNode { node: 99, shard: 0, way: Way::Both };
    let faults = vec![Planned { at: 10, lasts: 0, fault: nobody }];
    let report = play(&Plan { chat_ms: 1500, faults, ..Plan::quiet(0) }, false);
    assert!(report.panics == 1 && !report.good(), "{}", report.line());
}

#[test]
fn shrinking_ends_with_the_fault_that_it_takes_or_with_none() {
    let lag = |at| Planned { at, lasts: 10, fault: Fault::Lag { shard: 0, ms: 1 } };
    let plan = Plan { chat_ms: 200, clients: 1, faults: (0..7).map(lag).collect(), ..Plan::quiet(0) };
    let takes_the_sixth = shrink(&plan, 60, |report| report.plan.faults.contains(&lag(5)));
    assert_eq!(takes_the_sixth.faults, [lag(5)]);
    assert_eq!(shrink(&plan, 60, |_| true).faults, []);
    assert_eq!(shrink(&plan, 60, |_| false).faults, plan.faults);
    assert_eq!(shrink(&plan, 1, |_| true).faults.len(), 3, "one try: a half");
}

#[test]
fn a_wrong_argument_gets_one_line_and_exit_code_2() {
    let wrong = [
        (&["--seeds", "5..5"][..], "\"5..5\""),
        (&["--seeds", "5..1"], "\"5..1\""),
        (&["--seeds", "x"], "\"x\""),
        (&["--threads", "0"], "--threads"),
        (&["--scenario", "nonsense"], "\"nonsense\""),
        (&["--variant", "nonsense"], "\"nonsense\""),
        (&["--scenario", "no-sweep!", "--variant", "nonsense"], "\"nonsense\""),
        (&["--seeds"], "--seeds"),
        (&["--sed", "1"], "\"--sed\""),
        (&["--seeds", "0..5", "--log"], "not of 5"),
        (&["--log"], "not of 100"),
        (&["--log", "--lines", "--seeds", "1"], "--lines"),
        (&["--seeds", "18446744073709551615"], "\"18446744073709551615\""),
    ];
    for (arguments, named) in wrong {
        let run = Command::new(env!("CARGO_BIN_EXE_simulate")).args(arguments).output().expect("the simulate binary");
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.lines().count() == 1 && said.contains(named), "{arguments:?}: {said}");
    }
}

#[test]
fn lines_of_bad_seeds_end_with_exit_code_1() {
    let arguments = ["--seeds", "0", "--scenario", "drop-fanout!", "--lines"];
    let run = Command::new(env!("CARGO_BIN_EXE_simulate")).args(arguments).output().expect("the simulate binary");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.code() == Some(1) && said.contains("violates"), "{said}");
}

/// A stray write breaks no rule: it is told by itself, and the whole protocol makes none there.
#[test]
fn stray_writes_have_their_story_and_end_with_exit_code_1() {
    let play = |scenario| {
        let arguments = ["--seeds", "0", "--scenario", scenario];
        let run = Command::new(env!("CARGO_BIN_EXE_simulate")).args(arguments).output().expect("the simulate binary");
        (run.status.code(), String::from_utf8_lossy(&run.stdout).into_owned())
    };
    let (code, said) = play("own-claim!");
    let told = ["seed 0 good but for", " writes astray for chat-2#", " has the slots since ", " takes the slots of "];
    assert!(code == Some(1) && told.iter().all(|words| said.contains(words)), "{code:?}: {said}");
    let (code, said) = play("own-claim");
    assert!(code == Some(0) && !said.contains("astray"), "{code:?}: {said}");
}
