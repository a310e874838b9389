//! What the command does when a run does not come to its end: it heals, says why in one sentence, and leaves a record.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use chaos_cluster::{Engine, EngineChoice, Places, cache_folder, find_or_fetch};
use serde_json::Value;

/// Far above what a boot takes, so that only what never comes fails.
const DEADLINE: Duration = Duration::from_secs(90);

/// A hung primary, and restarts that cannot go on as long as it hangs.
const DRILL: &str = r#"format = 1
title = "two faults that are on when somebody has had enough"
longest = "2m"
steady = "1s"
[cluster]
chat_nodes = 1
redis = { shards = 3, replicas_per_shard = 1, node_timeout = "2s" }
[workload.fan_out]
rooms = 3
members_per_room = 3
sends_per_second = 30
[[step]]
at = "2s"
inject = { pause = { redis = "busiest_primary" } }
heal_after = "60s"
[[step]]
at = "2s"
inject = { rolling_restart = { of = "chat" } }
heal_after = "1s"
[expect]
contract = "acked_is_durable"
exercises = ["R1"]
"#;

const DEAF: &str = r#"format = 1
title = "a server that listens nowhere"
contract = "at_most_once"
speaks = "contract"
start = { command = ["sh", "-c", "sleep 600", "{listen}"] }
"#;

/// A place of its own for each test, empty.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a writable folder");
        fs::write(path.join("drill.toml"), DRILL).expect("a writable folder");
        Place(path)
    }

    fn drill(&self, environment: &[(&str, &Path)]) -> Child {
        self.drill_with(&[], environment)
    }

    fn drill_with(&self, more: &[&str], environment: &[(&str, &Path)]) -> Child {
        // Whoever runs this test may ignore SIGHUP, as `nohup` does, and what it starts would, too.
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_chaos"), "drill", "drill.toml", "--runs", "runs"]);
        command.args(more).current_dir(&self.0);
        command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the binary starts")
    }

    /// A file of the run; empty when it is not there.
    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join("runs/drill/latest").join(name)).unwrap_or_default()
    }

    /// What the run says of a run that was not judged.
    fn says(&self, outcome: &str, why: &str) {
        let verdict: Value = serde_json::from_str(&self.read("verdict.json")).expect("a verdict.json");
        assert_eq!(verdict["outcome"], outcome);
        for file in ["verdict.json", "junit.xml", "report.txt"] {
            assert!(self.read(file).contains(why), "{why:?} in {file}:\n{}", self.read(file));
        }
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(20));
    }
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
}

fn ended(child: Child) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

fn engine() -> Engine {
    let places = Places {
        given: env::var_os("HOLDFAST_REDIS_SERVER").map(PathBuf::from),
        path: env::var_os("PATH"),
        cache: cache_folder(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")),
        fetch: true,
    };
    find_or_fetch(EngineChoice::Any, &places, &|_| ()).expect("an engine")
}

#[test]
fn an_interrupt_while_a_fault_bites_heals_it_and_leaves_it_in_the_record() {
    let place = Place::new("interrupted");
    let drill = place.drill(&[]);
    until("both faults are on", || {
        let list = place.read("heal.json");
        list.contains("\"pause\"") && list.contains("rolling_restart")
    });
    send("INT", &drill);
    let (code, told) = ended(drill);
    assert_eq!(code, Some(4), "{told}");
    let healing = told.lines().find(|line| line.contains("healing pause of redis-"));
    assert!(healing.is_some_and(|line| line.contains("rolling_restart of chat-1")), "what it heals:\n{told}");
    assert!(told.contains("interrupted; everything is healed"), "{told}");
    assert_eq!(place.read("heal.json").trim(), "[]");
    let journal = place.read("journal.jsonl");
    let schedule = place.read("schedule.toml");
    for fault in ["pause", "rolling_restart"] {
        let on = journal.lines().any(|line| line.contains("fault_on") && line.contains(&format!("\"{fault}\"")));
        assert!(on, "{fault} is on in:\n{journal}");
        assert!(schedule.contains(&format!("kind = \"{fault}\"")), "{fault} in:\n{schedule}");
        assert!(place.read("report.txt").contains(fault), "{}", place.read("report.txt"));
    }
    assert_eq!(journal.matches("fault_off").count(), 2, "{journal}");
    place.says("aborted", "interrupted");
    let run = place.0.join("runs/drill/latest");
    let again = Command::new(env!("CARGO_BIN_EXE_chaos")).arg("judge").arg(run).output().expect("the binary starts");
    let again = (again.status.code(), String::from_utf8_lossy(&again.stderr).into_owned());
    assert!(again.0 == Some(4) && again.1.contains("could be judged: interrupted"), "{again:?}");
}

/// A shell and the kernel both tell of it, and nobody reads what is said from then on.
#[test]
fn a_terminal_that_is_closed_while_a_fault_bites_lets_the_drill_heal() {
    let place = Place::new("hung-up");
    let mut drill = place.drill(&[]);
    until("a fault is on", || place.read("heal.json").contains("\"pause\""));
    drop((drill.stdout.take(), drill.stderr.take()));
    send("HUP", &drill);
    send("HUP", &drill);
    assert_eq!(ended(drill).0, Some(4));
    assert_eq!(place.read("heal.json").trim(), "[]");
    place.says("aborted", "its terminal was closed");
}

#[test]
fn a_drill_that_is_to_outlive_its_terminal_does() {
    let place = Place::new("nohup");
    let mut nohup = Command::new("nohup");
    nohup.args([env!("CARGO_BIN_EXE_chaos"), "drill", "drill.toml", "--runs", "runs"]).current_dir(&place.0);
    let drill = nohup.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("nohup");
    until("a fault is on", || place.read("heal.json").contains("\"pause\""));
    send("HUP", &drill);
    send("TERM", &drill);
    let (code, told) = ended(drill);
    assert_eq!(code, Some(4), "{told}");
    place.says("aborted", "interrupted");
}

#[test]
fn a_matrix_that_is_ended_or_killed_ends_its_drill_which_heals() {
    for (signal, code) in [("TERM", Some(4)), ("KILL", None)] {
        let place = Place::new(&format!("matrix-{signal}"));
        let mut matrix = Command::new(env!("CARGO_BIN_EXE_chaos"));
        matrix
            .args(["matrix", "drill.toml", "--engines", "valkey-9.1,redis-8.2", "--runs", "runs"])
            .current_dir(&place.0);
        let matrix = matrix.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let of_run = |name: &str| {
            fs::read_to_string(place.0.join("runs/valkey-9.1/drill/latest").join(name)).unwrap_or_default()
        };
        until("a fault is on", || of_run("heal.json").contains("\"pause\""));
        send(signal, &matrix);
        // The drill has the same pipe, so it has ended, too.
        let (ended, told) = ended(matrix);
        assert_eq!(ended, code, "{told}");
        assert!(told.contains("interrupted; everything is healed"), "{told}");
        assert_eq!(of_run("heal.json").trim(), "[]");
        let verdict: Value = serde_json::from_str(&of_run("verdict.json")).expect("a verdict.json");
        assert_eq!(verdict["outcome"], "aborted");
        assert!(!place.0.join("runs/redis-8.2").exists(), "the next began: {told}");
    }
}

/// Its second system never comes up.
#[test]
fn a_comparison_that_is_interrupted_tells_what_it_has() {
    let place = Place::new("compare-interrupted");
    let restarts = DRILL.find("[[step]]\nat = \"2s\"\ninject = { rolling").expect("the second fault");
    let one_fault = format!("{}{}", &DRILL[..restarts], &DRILL[DRILL.find("[expect]").expect("a table")..]);
    fs::write(place.0.join("drill.toml"), one_fault.replace("60s", "1s")).expect("a writable folder");
    fs::write(place.0.join("deaf.toml"), DEAF).expect("a writable folder");
    let mut compare = Command::new(env!("CARGO_BIN_EXE_chaos"));
    compare.args(["compare", "--drill", "drill.toml", "--runs", "runs", "holdfast", "deaf.toml"]).current_dir(&place.0);
    let compare = compare.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let journal = place.0.join("runs/deaf/drill/latest/journal.jsonl");
    until("the second system is booted", || fs::read_to_string(&journal).is_ok_and(|journal| !journal.is_empty()));
    send("INT", &compare);
    let said = compare.wait_with_output().expect("it ends");
    let (table, told) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert_eq!(said.status.code(), Some(4), "{told}");
    assert!(table.contains("given up after 1 of 2 systems") && table.contains("holdfast"), "{table}\n{told}");
    let page = fs::read_to_string(place.0.join("runs/compare.html")).expect("a page");
    assert!(page.contains("given up after 1 of 2 systems"), "{page}");
}

#[test]
fn a_chat_node_that_ends_at_once_is_named_with_its_program() {
    let place = Place::new("no-node");
    let (code, told) = ended(place.drill(&[("CHAT_NODE", Path::new("/bin/false"))]));
    assert_eq!(code, Some(70), "{told}");
    for words in ["chat-1 did not start: /bin/false ended with exit code 1", "it wrote nothing to its log"] {
        assert!(told.contains(words), "{words:?} in:\n{told}");
    }
    place.says("harness", "chat-1 did not start");
}

#[test]
fn a_node_that_listens_elsewhere_is_told_with_the_address_that_was_tried() {
    let place = Place::new("listens-elsewhere");
    fs::write(place.0.join("deaf.toml"), DEAF).expect("a writable folder");
    let (code, told) = ended(place.drill_with(&["--system", "deaf.toml"], &[]));
    assert_eq!(code, Some(70), "{told}");
    let tried = told.split_once("chat-1 is not ready at 127.").and_then(|(_, rest)| rest.split_once(" after 20s: "));
    let why = tried.filter(|(address, _)| format!("127.{address}").parse::<SocketAddr>().is_ok());
    assert!(why.is_some_and(|(_, why)| why.starts_with("Connection refused")), "{told}");
}

/// Nodes run in folders of their own, and the file of the system lies in another.
#[test]
fn a_relative_chat_node_is_looked_for_from_here() {
    let place = Place::new("relative-node");
    std::os::unix::fs::symlink("/bin/false", place.0.join("no-node")).expect("a writable folder");
    let system = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/systems/holdfast.toml");
    let (code, told) = ended(place.drill_with(&["--system", system], &[("CHAT_NODE", Path::new("./no-node"))]));
    assert_eq!(code, Some(70), "{told}");
    let node = place.0.join("no-node");
    let words = format!("chat-1 did not start: {} ended with exit code 1", node.display());
    assert!(told.contains(&words), "{words:?} in:\n{told}");
}

/// Nobody may mount a small disk in a test: here one server says what a Redis on a full disk says, and works on.
#[test]
fn a_full_disk_under_the_servers_ends_the_run_and_is_named() {
    let place = Place::new("full-disk");
    let server = place.0.join("redis-server");
    let Engine { program, library_path, .. } = engine();
    let libraries = library_path.map(|path| format!("export LD_LIBRARY_PATH={}\n", path.display()));
    let script = format!(
        "#!/bin/sh\n{}case \"$PWD\" in\n*/redis-3) (sleep 8; echo '# Error writing to the AOF file: No space left on \
         device') & ;;\nesac\nexec {} \"$@\"\n",
        libraries.unwrap_or_default(),
        program.display()
    );
    fs::write(&server, script).expect("a writable folder");
    let mode = Command::new("chmod").arg("+x").arg(&server).status().expect("chmod");
    assert!(mode.success());
    let (code, told) = ended(place.drill(&[("HOLDFAST_REDIS_SERVER", &server)]));
    assert_eq!(code, Some(70), "{told}");
    for words in ["the disk is full: redis-3 ", "redis-3.log:", "  # Error writing to the AOF file: No space left on"] {
        assert!(told.contains(words), "{words:?} in:\n{told}");
    }
    place.says("harness", "the disk is full");
}
