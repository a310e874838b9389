//! What the command says of several bad files: the mistakes of all of them, before anything starts.

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
    let one = "one.toml:4:1: `start` needs a `command` or an `image`";
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
