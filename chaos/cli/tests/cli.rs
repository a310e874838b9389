//! What the command promises without starting anything: usage, drill files, plans, stored runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn chaos(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
    command.args(arguments).current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.output().expect("the binary starts")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("a writable folder");
    path
}

#[test]
fn wrong_arguments_exit_2_and_name_what_is_wrong() {
    let half = ["drill", "primary-kill", "--fence", "half"];
    let (no_engine, no_drill) = (["matrix", "--engines", "redis-9.9"], ["matrix", "node-kill", "primary-kil"]);
    for arguments in [&["dril"][..], &["drill"], &half, &["judge"], &no_engine, &no_drill] {
        let output = chaos(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", err(&output));
    }
    assert!(err(&chaos(&["dril"])).contains("drill"), "the nearest command is named");
    assert!(err(&chaos(&no_drill)).contains("did you mean `primary-kill`?"), "{}", err(&chaos(&no_drill)));
    let unexpected = chaos(&["drill", "primary-kill", "--dry-run", "--expect", "fail:R99"]);
    assert_eq!(unexpected.status.code(), Some(2));
    assert!(err(&unexpected).contains("fail:R99"), "{}", err(&unexpected));
}

#[test]
fn help_documents_every_exit_code() {
    let help = out(&chaos(&["--help"]));
    for code in [" 0 ", " 1 ", " 2 ", " 3 ", " 4 ", "70 "] {
        assert!(help.contains(code), "exit code {code} in:\n{help}");
    }
}

#[test]
fn an_unknown_drill_is_answered_with_the_nearest_name() {
    let output = chaos(&["drill", "primary-kil"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("did you mean `primary-kill`?"), "{}", err(&output));
}

#[test]
fn every_mistake_of_a_drill_file_is_told_at_once_with_its_place() {
    let path = file(
        "wrong.toml",
        r#"format = 1
titel = "a key that is not known"
[cluster]
chat_nodes = 30
redis = { shards = 3, node_timeuot = "1s", replication_delay = "5 parsecs" }
[workload.fan_out]
rooms = "twelve"
members_per_room = 20
sends_per_second = 400
[[step]]
at = "5s"
inject = { kil = { redis = "primary_of_busiest_room" } }
[expect]
contract = "acked_is_durabel"
exercises = ["R1", "R99"]
"#,
    );
    for command in ["check", "drill"] {
        let output = chaos(&[command, path.to_str().expect("a path in UTF-8")]);
        let told = err(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        for (place, words) in [
            (":1:1:", "`title` is missing"),
            (":2:1:", "did you mean `title`?"),
            (":4:14:", "30 is outside 1..=16"),
            (":5:23:", "did you mean `node_timeout`?"),
            (":5:64:", "`5 parsecs` is no length of time"),
            (":7:9:", "expected a whole number"),
            (":12:", "did you mean `kill`?"),
            (":14:12:", "did you mean `acked_is_durable`?"),
            (":15:20:", "`R99` is unknown"),
        ] {
            let hit = told.lines().any(|line| line.contains(place) && line.contains(words));
            assert!(hit, "a mistake at {place} with {words:?} in:\n{told}");
        }
        assert!(told.contains("9 mistakes; nothing was started"), "{told}");
    }
}

#[test]
fn a_wrong_system_file_is_refused_with_all_its_mistakes() {
    let path = file(
        "wrong-system.toml",
        r#"format = 1
title = "a server whose file has mistakes"
contract = "at_most_once"
[start]
command = ["node", "{servr}"]
[send]
event = "say"
arguments = ["{room}"]
[received]
event = "said"
text = "0/text"
"#,
    );
    let path = path.to_str().expect("a path in UTF-8");
    for command in [&["check", path][..], &["drill", "primary-kill", "--system", path], &["compare", path]] {
        let output = chaos(command);
        let told = err(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        for mistake in [
            ":5:20: `start.command`: unknown mark {servr}",
            ":8:13: `send.arguments`: holds no {text}",
            "`join`: is missing, and `connect.auth` names no {room} either",
            ":11:8: `received.text`: must begin with an argument's number",
            "4 mistakes; nothing was started",
        ] {
            assert!(told.contains(mistake), "{mistake} is not in:\n{told}");
        }
    }
}

#[test]
fn a_plan_says_which_system_it_is_for_and_what_that_is_asked() {
    let system = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/systems/socket.io/redis-adapter.toml");
    let plan = |more: &[&str]| {
        let command = ["drill", "primary-kill", "--dry-run", "--system", system];
        out(&chaos(&[&command[..], more].concat()))
    };
    let claimed = plan(&[]);
    for part in ["system        redis-adapter: Socket.IO", "contract      at_most_once", "R13 R14"] {
        assert!(claimed.contains(part), "{part} is not in:\n{claimed}");
    }
    assert!(!claimed.contains(" R1 ") && !claimed.contains("fence"), "{claimed}");
    let asked = plan(&["--contract", "acked_is_durable"]);
    assert!(asked.contains("contract      acked_is_durable") && asked.contains("exercise R1 "), "{asked}");
    let refused = chaos(&["drill", "primary-kill", "--dry-run", "--system", system, "--fence", "none"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(err(&refused).contains("`--fence` is a setting of the reference system"), "{}", err(&refused));
}

#[test]
fn a_file_that_is_given_in_the_place_of_the_other_kind_is_named_as_what_it_is() {
    let system = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/systems/socket.io/redis-adapter.toml");
    let drill = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/drills/node-kill.toml");
    for (command, why) in [
        (["drill", system, "--system", system], "this is a system file, not a drill: `--system` takes it"),
        (["drill", drill, "--system", drill], "this is a drill file, not a system"),
        (["compare", system, "--drill", system], "this is a system file, not a drill: `--system` takes it"),
    ] {
        let output = chaos(&command);
        let told = err(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(why) && told.contains("1 mistake; nothing was started"), "{told}");
    }
    let inline = file("inline-start.toml", "format = 1\nstart = { comand = [\"node\"] }\n");
    let told = err(&chaos(&["check", inline.to_str().expect("a path in UTF-8")]));
    assert!(told.contains("unknown key `start.comand`; did you mean `command`?"), "{told}");
}

#[test]
fn a_comparison_that_cannot_start_says_why_and_leaves_it_on_its_page() {
    let runs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compared/nothing");
    let _ = fs::remove_dir_all(&runs);
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
    command.args(["compare", "holdfast", "--runs"]).arg(&runs).env("HOLDFAST_REDIS_SERVER", "/bin/true");
    let output = command.output().expect("the binary starts");
    let told = err(&output);
    assert_eq!(output.status.code(), Some(70), "{told}");
    assert!(out(&output).contains("/bin/true: it is no Redis or Valkey server"), "{}", out(&output));
    assert!(told.contains("the same as a page") && !told.contains("No such file"), "{told}");
    let page = fs::read_to_string(runs.join("compare.html")).expect("a page");
    assert!(page.contains("it is no Redis or Valkey server"), "{page}");
}

#[test]
fn contradictory_settings_are_refused_before_anything_starts() {
    let path = file(
        "contradictory.toml",
        r#"format = 1
title = "each setting is fine, together they make no sense"
longest = "6m"
[cluster]
history_window = "10m"
redis = { shards = 3, replicas_per_shard = 2, node_timeout = "1s", replication_delay = "200ms" }
[workload.fan_out]
rooms = 2
members_per_room = 5
sends_per_second = 60
[[step]]
at = "5s"
inject = { kill = { redis = "primary_of_busiest_room" } }
[[step]]
at = "6s"
inject = { kill = { redis = "busiest_primary" } }
[expect]
contract = "acked_is_durable"
exercises = ["R12"]
"#,
    );
    let output = chaos(&["drill", path.to_str().expect("a path in UTF-8")]);
    let told = err(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for words in ["0.6 / (1.5 × 200ms)", "4.0 messages are expected in flight", "twice the longest", "no majority"] {
        assert!(told.contains(words), "{words:?} in:\n{told}");
    }
}

#[test]
fn every_shipped_drill_is_listed_with_a_sentence() {
    let output = chaos(&["drills"]);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let shipped = [
        "primary-kill",
        "primary-pause",
        "replica-kill",
        "node-kill",
        "rolling-restart",
        "primary-and-node-kill",
        "one-replica",
        "pubsub-primary-kill",
        "no-fence",
        "fast-restart-no-aof",
    ];
    for name in shipped {
        let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("{name} in:\n{text}"));
        assert!(line.split_whitespace().count() > 4, "a sentence: {line}");
    }
}

#[test]
fn a_dry_run_prints_the_plan_and_starts_nothing() {
    let runs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dry-runs");
    let runs = runs.to_str().expect("a path in UTF-8");
    let output = chaos(&["drill", "primary-kill", "--dry-run", "--seed", "11", "--fence", "none", "--runs", runs]);
    let plan = out(&output).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    for words in ["seed 11", "fence none", "blast radius", "acked_is_durable", "promote", "estimated"] {
        assert!(plan.to_lowercase().contains(words), "{words:?} in:\n{plan}");
    }
    assert!(!Path::new(runs).exists(), "a dry run leaves no run directory");
}

/// A small chat over plain Pub/Sub that lost its primary, recorded from a real run.
const STORED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/runs/small-pubsub-primary-kill");

/// Outcome, numbers, and each rule's state and counts. Which examples are the worst is a newer checker's to say.
fn substance(verdict: &str) -> serde_json::Value {
    let mut verdict: serde_json::Value = serde_json::from_str(verdict).expect("JSON");
    for rule in verdict["rules"].as_object_mut().expect("rules").values_mut() {
        rule.as_object_mut().expect("a result").remove("examples");
    }
    verdict.as_object_mut().expect("a verdict").remove("reasons");
    verdict
}

#[test]
fn a_stored_run_is_judged_again_with_the_same_verdict() {
    let judged = || chaos(&["judge", STORED, "--json"]);
    let (first, second) = (judged(), judged());
    assert_eq!(first.status.code(), Some(1), "{}", err(&first));
    assert_eq!(out(&first), out(&second), "the same program says the same");
    let stored = fs::read_to_string(Path::new(STORED).join("verdict.json")).expect("a stored verdict");
    assert_eq!(substance(&out(&first)), substance(&stored));
}

#[test]
fn a_stored_run_is_reported_again_for_people() {
    let report = out(&chaos(&["judge", STORED]));
    for words in [
        "small: FAIL",
        "acknowledged messages did not reach everyone",
        "kill redis-3 (the busiest primary)",
        "last hop of",
        "Deaf after the last heal",
        "chaos drill small.toml --seed 7",
        "deaf on healthy connections after the last heal: 1 memberships on chat-2",
        "chat.ack on chat-1 (it never came to chat.receive)",
    ] {
        assert!(report.contains(words), "{words:?} in:\n{report}");
    }
    assert!(!report.contains("log.read"), "without a log there is no such hop:\n{report}");
}

#[test]
fn an_expected_failure_is_a_success_and_another_is_not() {
    let code = |expected: &str| chaos(&["judge", STORED, "--expect", expected]).status.code();
    assert_eq!([code("fail:R1"), code("declared"), code("fail:R12")], [Some(0), Some(0), Some(1)]);
}

#[test]
fn a_run_whose_harness_was_killed_was_not_judged() {
    let run = Path::new(env!("CARGO_TARGET_TMPDIR")).join("killed");
    let _ = fs::remove_dir_all(&run);
    fs::create_dir_all(&run).expect("a writable folder");
    for file in ["plan.toml", "history.jsonl", "schedule.toml"] {
        fs::copy(Path::new(STORED).join(file), run.join(file)).expect("a writable folder");
        let output = chaos(&["judge", run.to_str().expect("UTF-8")]);
        let told = err(&output);
        assert_eq!(output.status.code(), Some(4), "{told}");
        assert!(told.contains("could be judged: it did not come to its end"), "with {file}: {told}");
    }
}

#[test]
fn what_is_no_run_is_refused_by_name() {
    let empty = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-run");
    fs::create_dir_all(&empty).expect("a writable folder");
    for (run, why) in [("no-such-run", "No such file"), ("no-run", "there is no plan.toml in it")] {
        let output = chaos(&["judge", run]);
        let told = err(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(&format!("{run}: no run: {why}")), "{told}");
    }
}

#[test]
fn a_damaged_record_is_named_with_its_line() {
    let run = Path::new(env!("CARGO_TARGET_TMPDIR")).join("damaged");
    let _ = fs::remove_dir_all(&run);
    fs::create_dir_all(&run).expect("a writable folder");
    for file in fs::read_dir(STORED).expect("a stored run") {
        let file = file.expect("a file").path();
        if file.is_file() {
            fs::copy(&file, run.join(file.file_name().expect("a name"))).expect("a writable folder");
        }
    }
    let history = fs::read_to_string(run.join("history.jsonl")).expect("a history");
    let third = history.split_inclusive('\n').take(2).map(str::len).sum::<usize>() + 3;
    for (text, why) in [(&history[..third], "history.jsonl:3: EOF"), ("", "history.jsonl: the record is empty")] {
        fs::write(run.join("history.jsonl"), text).expect("a writable folder");
        let output = chaos(&["judge", run.to_str().expect("a path in UTF-8")]);
        let told = err(&output);
        assert_eq!(output.status.code(), Some(70), "{told}");
        assert!(told.contains(why) && told.matches("history.jsonl").count() == 1, "{told}");
        assert!(!told.contains("at line 1"), "{told}");
    }
}

#[test]
fn a_named_server_that_is_none_is_an_error_of_a_dry_run_too() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
    command.args(["drill", "primary-kill", "--dry-run"]).env("HOLDFAST_REDIS_SERVER", "/bin/true");
    let output = command.output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(70), "{}", out(&output));
    assert!(err(&output).contains("/bin/true: it is no Redis or Valkey server"), "{}", err(&output));
}

#[test]
fn a_table_under_a_misspelt_name_is_read_all_the_same() {
    let path = file(
        "misspelt.toml",
        r#"format = 1
title = "one letter is missing"
[workload.fan_ou]
rooms = 12
members_per_room = -1
sends_per_second = 400
[expect]
contract = "acked_is_durable"
exercises = ["R1"]
promote_within = "deriv"
"#,
    );
    let told = err(&chaos(&["check", path.to_str().expect("a path in UTF-8")]));
    for (place, words) in [
        (":3:11:", "unknown key `workload.fan_ou`; did you mean `fan_out`?"),
        (":5:20:", "-1 is outside"),
        (":10:18:", "did you mean `derived`?"),
    ] {
        assert!(told.lines().any(|line| line.contains(place) && line.contains(words)), "{place} {words} in:\n{told}");
    }
    assert!(!told.contains("is missing") && told.contains("3 mistakes"), "{told}");
}
