//! What the command says of bad files: every mistake of all of them, before anything starts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A folder of its own for each test, empty.
fn place(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a writable folder");
    path
}

fn chaos(place: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
    command.args(arguments).current_dir(place);
    command.output().expect("the binary starts")
}

/// Without a command and a room.
const ONE: &str = r#"format = 1
title = "a server whose file has mistakes"
contract = "at_most_once"
start = {}
send = { event = "say", arguments = ["{text}"] }
received = { event = "said", text = "/0" }
"#;

#[test]
fn the_mistakes_of_all_files_of_a_command_are_told_at_once() {
    let place = place("many-mistakes");
    fs::write(place.join("one.toml"), ONE).expect("a writable folder");
    fs::write(place.join("two.toml"), ONE.replace("[\"{text}\"]", "[]").replace("{}", "{ image = 3 }"))
        .expect("written");
    fs::write(place.join("drill.toml"), "format = 1\ntitle = \"a drill without the rest\"\n").expect("written");
    fs::write(place.join("staging.toml"), "format = 1\nname = \"staging\"\n[blast_radius]\n").expect("written");
    let drill = "drill.toml:1:1: `expect.contract` is missing";
    let one = "one.toml:4:9: `start` needs a `command` or an `image`";
    let two = "two.toml:5:37: `send.arguments`: holds no {text}";
    let staging = "staging.toml:1:1: `title` is missing";
    let cases: [(&[&str], &[&str]); 4] = [
        (&["compare", "one.toml", "holdfast", "two.toml", "--drill", "drill.toml"], &[one, two, drill]),
        (&["compare", "one.toml", "three.toml"], &[one, "three.toml: cannot read the system file"]),
        (
            &["drill", "drill.toml", "--system", "one.toml", "--backend", "external", "--deployment", "staging.toml"],
            &[drill, one, staging],
        ),
        (&["matrix", "primary-kil", "drill.toml"], &["did you mean `primary-kill`?", drill]),
    ];
    for (arguments, expected) in cases {
        let output = chaos(&place, arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        for part in expected {
            assert_eq!(told.matches(part).count(), 1, "{arguments:?}: {part}\nis not once in\n{told}");
        }
        let mistakes = told.lines().count() - 1;
        let total = format!("\n{mistakes} mistakes; nothing was started\n");
        assert!(told.ends_with(&total), "{arguments:?}: not {total:?} at the end of\n{told}");
        assert!(!told.contains("needs a deployment"), "{told}");
    }
}

#[test]
fn a_command_that_is_not_in_the_search_path_is_told_before_anything_is_looked_for() {
    let place = place("no-command");
    let sound = ONE.replace("{}", "{ command = [\"nosuchprogram\", \"{listen}\"] }").replace("{text}", "{room} {text}");
    fs::write(place.join("one.toml"), format!("connect = {{ auth = \"{{room}}\" }}\n{sound}")).expect("written");
    for how in ["--dry-run", "--keep"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
        command.args(["drill", "primary-kill", "--system", "one.toml", how]).current_dir(&place);
        command.env("PATH", &place).env("HOLDFAST_CACHE", place.join("cache")).env_remove("HOLDFAST_REDIS_SERVER");
        if how == "--keep" {
            // None, which is told as soon as anybody looks for an engine.
            command.env("HOLDFAST_REDIS_SERVER", "/bin/true");
        }
        let output = command.output().expect("the binary starts");
        let told = String::from_utf8_lossy(&output.stderr);
        let why = "error: one: `start.command`: nosuchprogram cannot be run: no folder of $PATH holds such a program";
        assert_eq!((output.status.code(), told.trim()), (Some(70), why));
    }
    assert!(!place.join("target").exists(), "a run was left");
}

#[test]
fn what_is_wrong_with_options_of_a_comparison_is_told_with_its_files() {
    let place = place("wrong-options");
    fs::write(place.join("one.toml"), ONE).expect("a writable folder");
    let options = ["--engine", "redis-9.9", "--nodes", "17", "--seed", "x", "--runs", "one.toml"];
    let output = chaos(&place, &[&["compare", "one.toml", "--drill", "primary-kil"], &options[..]].concat());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    for part in [
        "--engine: \"redis-9.9\": ",
        "--nodes: 17 is outside 1..=16",
        "--seed: \"x\": invalid digit",
        "--runs: one.toml is no folder",
        "one.toml:4:9: `start` needs",
        "did you mean `primary-kill`?",
        "7 mistakes; nothing was started",
    ] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
}

#[test]
fn a_deployment_that_cannot_be_drilled_is_refused_with_all_that_is_wrong() {
    let place = place("no-deployment");
    let guide = include_str!("../../../docs/game-day.md").split("```toml\n").nth(1).expect("the guide's file");
    let shown = guide.split("```").next().unwrap_or_default();
    let nowhere = [
        ("redis://10.0.0.", "redis://127.0.0.1:1"),
        (":6379", ""),
        ("10.0.1.", "127.0.0."),
        ("password_file", "# password_file"),
        ("user ", "# user "),
        ("kill = [\"ssh\"", "kill = [\"shh\""),
        ("start = [\"ssh\"", "start = [\"sh\""),
    ];
    let nowhere = nowhere.into_iter().fold(shown.to_owned(), |text, (from, to)| text.replace(from, to));
    fs::write(place.join("nowhere.toml"), nowhere).expect("a writable folder");
    let refused = |more: &[&str]| {
        let output = chaos(&place, &[&["drill", "primary-kill", "--backend", "external"], more].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        told
    };
    let told = refused(&["--deployment", "nowhere.toml"]);
    for part in [
        "`commands.chat.kill`, `commands.chat.start`: ./chat cannot be run: No such file",
        "`commands.redis.kill`: shh cannot be run: no folder of $PATH holds such a program",
        "chat-3 at 127.0.0.3:3000 does not answer",
        "14 mistakes",
    ] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    assert!(!told.contains(": sh cannot"), "{told}");
    assert!(refused(&[]).contains("`external` needs a deployment: `--deployment FILE`"));
    assert!(refused(&["--yes-this-is", "staging"]).contains("--deployment"));
}

#[test]
fn a_check_looks_for_the_files_that_a_deployment_names_and_asks_no_server() {
    let place = place("missing-files");
    let guide = include_str!("../../../docs/game-day.md").split("```toml\n").nth(1).expect("the guide's file");
    fs::write(place.join("staging.toml"), guide.split("```").next().unwrap_or_default()).expect("a writable folder");
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
        let output = command.args(["check", "staging.toml"]).current_dir(&place).env("PATH", &place).output();
        let output = output.expect("the binary starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, told) = check();
    let nowhere = "cannot be run: no folder of $PATH holds such a program";
    for part in [
        "staging.toml: `commands.chat.kill`, `commands.chat.start`: ./chat cannot be run: No such file",
        &format!("staging.toml: `commands.redis.kill`, `commands.redis.start`: ssh {nowhere}"),
        &format!("staging.toml: `commands.redis-9.kill`, `commands.redis-9.start`: docker {nowhere}"),
        "/redis.password: No such file",
        "4 mistakes; nothing was started",
    ] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    assert_eq!((code, told.matches("staging.toml: `redis.password_file`: ").count()), (Some(2), 1), "{told}");
    for program in ["chat", "ssh", "docker"] {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_chaos"), place.join(program)).expect("a writable folder");
    }
    fs::write(place.join("redis.password"), "secret\n").expect("written");
    assert_eq!(check(), (Some(0), String::new()));
}

/// A server that is started by a command of this name.
const SERVER: &str = r#"format = 1
title = "a server that is started by a command"
contract = "at_most_once"
start = { command = ["no-such-server"], env = { AT = "{listen}" } }
join = { event = "join", arguments = ["{room}"] }
send = { event = "say", arguments = ["{room}", "{text}"] }
received = { event = "said", text = "/0" }
"#;

#[test]
fn a_check_looks_for_the_program_of_a_command_as_a_drill_does() {
    let place = place("missing-program");
    fs::write(place.join("server.toml"), SERVER).expect("a writable folder");
    let why = "server: `start.command`: no-such-server cannot be run: no folder of $PATH holds such a program";
    for (arguments, code) in [
        (&["check", "server.toml"][..], 2),
        (&["drill", "primary-kill", "--system", "server.toml", "--dry-run"], 70),
        (&["drill", "primary-kill", "--system", "server.toml"], 70),
    ] {
        let output = chaos(&place, arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(why), "{arguments:?}: {told}");
    }
    // What an image holds nobody sees, and a program that is there is fine.
    for command in ["command = [\"no-such-server\"], image = \"some/server:1\"", "command = [\"sh\"]"] {
        fs::write(place.join("server.toml"), SERVER.replace("command = [\"no-such-server\"]", command))
            .expect("written");
        let output = chaos(&place, &["check", "server.toml"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_misspelt_system_is_answered_with_the_nearest_name() {
    let place = place("misspelt-system");
    for arguments in [&["compare", "holdfst"][..], &["drill", "primary-kill", "--system", "holdfst"]] {
        let output = chaos(&place, arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        let nearest =
            "holdfst: no file has this name, and it is not `holdfast`, the reference system; did you mean `holdfast`?";
        assert!(told.contains(nearest), "{told}");
    }
}

#[test]
fn a_key_that_stands_twice_is_named_with_both_its_lines() {
    let place = place("key-twice");
    fs::write(place.join("server.toml"), SERVER.to_owned() + "title = \"another\"\n").expect("a writable folder");
    let output = chaos(&place, &["check", "server.toml"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("server.toml:8:1: `title` is given twice: first in line 2"), "{told}");
}

#[test]
fn systems_of_a_comparison_run_where_it_says_and_each_once() {
    let place = place("compared-where");
    let image = SERVER.replace("command = [\"no-such-server\"]", "image = \"some/server:1\"");
    fs::write(place.join("image.toml"), image).expect("a writable folder");
    fs::write(place.join("server.toml"), SERVER).expect("written");
    fs::create_dir(place.join("other")).expect("a writable folder");
    fs::write(place.join("other/server.toml"), SERVER).expect("written");
    let refused = |arguments: &[&str]| {
        let output = chaos(&place, &[&["compare"], arguments].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        told
    };
    let told = refused(&["image.toml"]);
    assert!(told.contains("image is an image and no command: it needs `--backend containers`"), "{told}");
    let told = refused(&["--backend", "containers", "image.toml", "server.toml"]);
    assert!(told.contains("server names no `start.image`") && !told.contains("image is an image"), "{told}");
    let told = refused(&["server.toml", "holdfast", "other/server.toml", "holdfast"]);
    for twice in [
        "other/server.toml: the system server is given twice: as server.toml and as other/server.toml",
        "holdfast: the system holdfast is given twice: as holdfast and as holdfast",
    ] {
        assert!(told.contains(twice), "{twice} is not in:\n{told}");
    }
    assert!(told.ends_with("\n2 mistakes; nothing was started\n"), "{told}");
    assert!(refused(&["--backend", "external", "holdfast"]).contains("invalid value 'external'"));
}
