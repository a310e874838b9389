//! The containers backend where it cannot run: one sentence, the exit code of the harness, and nothing left behind.
//!
//! The Docker engine is a socket of the test that gives the answers which engines give.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixListener,
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    thread,
};

/// `nobody`, where the tests run as root, who may do everything.
const NOBODY: u32 = 65534;

/// What an engine says to `GET /version` that will do.
const NEW: &str = r#"{"Version":"26.1.5","ApiVersion":"1.45","MinAPIVersion":"1.24"}"#;

/// A folder of its own for each test, empty, which others may read.
fn place(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a writable folder");
    path
}

/// Answers every request by its first line: `GET /version HTTP/1.1`.
fn engine(place: &Path, answer: fn(&str) -> (u16, &'static str)) -> PathBuf {
    let socket = place.join("docker.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                loop {
                    let (mut first, mut line) = (String::new(), String::new());
                    if stream.read_line(&mut first).unwrap_or(0) == 0 {
                        return;
                    }
                    while stream.read_line(&mut line).unwrap_or(0) > 2 {
                        line.clear();
                    }
                    let (status, body) = answer(&first);
                    let head = format!("HTTP/1.1 {status} Told\r\nContent-Type: application/json\r\nContent-Length: ");
                    let told = write!(stream.get_mut(), "{head}{}\r\n\r\n{body}", body.len());
                    if told.is_err() {
                        return;
                    }
                }
            });
        }
    });
    socket
}

/// What a drill in containers says on that engine, which must be one sentence.
fn refused(place: &Path, socket: &Path, prepare: impl FnOnce(&mut Command)) -> String {
    refused_by(Path::new(env!("CARGO_BIN_EXE_chaos")), place, socket, prepare)
}

fn refused_by(program: &Path, place: &Path, socket: &Path, prepare: impl FnOnce(&mut Command)) -> String {
    let mut command = Command::new(program);
    command.args(["drill", "primary-kill", "--backend", "containers", "--runs", "runs"]).current_dir(place);
    command.env("DOCKER_HOST", format!("unix://{}", socket.display())).env("DOCKER_CONFIG", place);
    prepare(&mut command);
    let output = command.output().expect("the binary starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(70), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(!place.join("runs").exists(), "a run was left");
    told
}

#[test]
fn where_no_engine_listens_it_says_how_to_start_one() {
    let place = place("no-engine");
    let told = refused(&place, &place.join("docker.sock"), |_| {});
    for part in ["no Docker engine for the containers backend", "docker.sock", "start one", "DOCKER_HOST"] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
}

#[test]
fn an_engine_that_is_too_old_is_told_its_version_and_the_oldest_that_will_do() {
    let place = place("old-engine");
    let socket = engine(&place, |_| (200, r#"{"Version":"19.03.15","ApiVersion":"1.40","MinAPIVersion":"1.12"}"#));
    let told = refused(&place, &socket, |_| {});
    assert!(told.contains(r#"it speaks API "1.40"; 1.41 (Docker 20.10) or later is needed"#), "{told}");
}

#[test]
fn a_socket_of_others_is_told_from_one_that_is_not_there() {
    let there = place("forbidden-engine");
    let root = fs::metadata(&there).expect("a folder").uid() == 0;
    // The workspace may be its owner's alone, so this is where everybody comes.
    let everybodys = std::env::temp_dir().join(format!("holdfast-forbidden-{}", std::process::id()));
    let place = if root { everybodys } else { there };
    fs::create_dir_all(&place).expect("a writable folder");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).expect("our own");
    let (built, program) = (Path::new(env!("CARGO_BIN_EXE_chaos")), place.join("chaos"));
    if fs::hard_link(built, &program).is_err() {
        fs::copy(built, &program).expect("a copy");
    }
    let socket = engine(&place, |_| (200, "{}"));
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).expect("its owner's alone");
    if !root {
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).expect("nobody's");
    }
    let told = refused_by(&program, &place, &socket, |command| {
        if root {
            command.uid(NOBODY).gid(NOBODY);
        }
    });
    fs::remove_dir_all(&place).expect("our own");
    assert!(told.contains("ermission denied") && told.contains("join the group that owns its socket"), "{told}");
}

#[test]
fn an_image_that_is_nowhere_is_named_with_the_engines_reason() {
    let place = place("no-image");
    let socket = engine(&place, |request| {
        if request.contains("/version") {
            (200, NEW)
        } else if request.contains("/images/create") {
            (404, r#"{"message":"pull access denied for no-such-image, repository does not exist"}"#)
        } else {
            (404, r#"{"message":"No such image: no-such-image:1"}"#)
        }
    });
    let told = refused(&place, &socket, |command| {
        command.env("HOLDFAST_REDIS_IMAGE", "no-such-image:1");
    });
    assert!(told.contains("the image no-such-image:1: pull access denied for no-such-image"), "{told}");
}

/// It is that command which removes containers when the harness is killed.
#[test]
fn an_engine_that_the_command_docker_does_not_reach_is_not_used() {
    let place = place("other-engine");
    let socket = engine(&place, |request| {
        if request.contains("/version") {
            (200, NEW)
        } else if request.contains("/info") {
            (200, r#"{"ID":"this-engine"}"#)
        } else {
            (200, r#"{"Id":"an-image"}"#)
        }
    });
    let docker = place.join("docker");
    fs::write(&docker, "#!/bin/sh\necho another-engine\n").expect("a script");
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).expect("our own");
    let told = refused(&place, &socket, |command| {
        command.env("HOLDFAST_REDIS_IMAGE", "some-redis:1").env("PATH", format!("{}:/usr/bin:/bin", place.display()));
    });
    let why = "the command `docker` does not reach the engine that was found (it asks another one); set DOCKER_HOST";
    assert!(told.contains(why), "{told}");
}
