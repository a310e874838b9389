//! The containers backend where it cannot run: one sentence, the exit code of the harness, and nothing left behind; and
//! what it says of images, before anything runs.
//!
//! The Docker engine is a socket of the test that gives the answers which engines give.

mod plans;
mod pull;

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
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
fn engine(place: &Path, answer: impl Fn(&str) -> (u16, &'static str) + Send + Sync + 'static) -> PathBuf {
    engine_that(place, move |request, stream| {
        let (status, body) = answer(request);
        let head = format!("HTTP/1.1 {status} Told\r\nContent-Type: application/json\r\nContent-Length: ");
        write!(stream, "{head}{}\r\n\r\n{body}", body.len())
    })
}

/// The same by writing what it likes.
fn engine_that(
    place: &Path,
    answer: impl Fn(&str, &mut UnixStream) -> io::Result<()> + Send + Sync + 'static,
) -> PathBuf {
    let socket = place.join("docker.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
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
                    if answer(&first, stream.get_mut()).is_err() {
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

fn drill(program: &Path, place: &Path, socket: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["drill", "primary-kill", "--backend", "containers", "--runs", "runs"]).current_dir(place);
    command.env("DOCKER_HOST", format!("unix://{}", socket.display())).env("DOCKER_CONFIG", place);
    for variable in ["DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "HOLDFAST_REDIS_IMAGE", "HOLDFAST_CHAT_IMAGE"] {
        command.env_remove(variable);
    }
    command
}

fn refused_by(program: &Path, place: &Path, socket: &Path, prepare: impl FnOnce(&mut Command)) -> String {
    let mut command = drill(program, place, socket);
    prepare(&mut command);
    let output = command.output().expect("the binary starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(70), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(!place.join("runs").exists(), "a run was left");
    told
}

fn chaos_in(place: &Path) -> PathBuf {
    let (built, program) = (Path::new(env!("CARGO_BIN_EXE_chaos")), place.join("chaos"));
    if fs::hard_link(built, &program).is_err() {
        fs::copy(built, &program).expect("a copy");
    }
    program
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
    let program = chaos_in(&place);
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
    assert!(told.contains(&socket.display().to_string()), "whose is not said: {told}");
}

#[test]
fn variables_of_docker_that_make_no_sense_are_named() {
    let place = place("nonsense-engine");
    let nowhere = place.join("nowhere");
    let (nowhere, here) = (nowhere.to_str().expect("in UTF-8"), place.to_str().expect("in UTF-8"));
    let told = |host: &str, certificates: Option<&str>| {
        refused(&place, &place.join("docker.sock"), |command| {
            command.env("DOCKER_HOST", host).env("DOCKER_TLS_VERIFY", "1");
            command.envs(certificates.map(|folder| ("DOCKER_CERT_PATH", folder)));
        })
    };
    for host in ["foo", "", "tcp://", "unix://", "ssh://me@127.0.0.1"] {
        let told = told(host, None);
        assert!(told.contains(&format!("DOCKER_HOST is {host:?}, which ")), "{told}");
    }
    let there = "tcp://127.0.0.1:1";
    let missing = told(there, None);
    assert!(missing.contains("DOCKER_TLS_VERIFY=1 needs DOCKER_CERT_PATH"), "{missing}");
    let missing = told(there, Some(nowhere));
    assert!(missing.contains(&format!("DOCKER_CERT_PATH is {nowhere}, which is no folder")), "{missing}");
    let missing = told(there, Some(here));
    assert!(missing.contains("/ca.pem: No such file") && missing.contains("/key.pem: No such file"), "{missing}");
}

#[test]
fn a_port_that_is_none_and_a_certificate_that_is_none_are_errors_of_one_sentence() {
    let place = place("nonsense-certificates");
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        fs::write(place.join(name), "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n").expect("written");
    }
    for host in ["tcp://127.0.0.1:none", "tcp://127.0.0.1:1", "https://127.0.0.1:1"] {
        let told = refused(&place, &place.join("docker.sock"), |command| {
            command.env("DOCKER_HOST", host).env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", &place);
        });
        assert!(told.contains(host) || told.contains("ca.pem"), "{told}");
    }
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

/// All its runs fail here, for want of anything to make containers of.
#[test]
fn a_matrix_says_loudly_which_engine_it_leaves_out_and_why() {
    let place = place("no-official-image");
    let socket = engine(&place, |request| {
        if request.contains("/version") { (200, NEW) } else { (404, r#"{"message":"no registry is reached"}"#) }
    });
    let matrix = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
        command.args(["matrix", "node-kill", "--backend", "containers", "--runs", "runs"]).args(arguments);
        command.current_dir(&place).env("DOCKER_HOST", format!("unix://{}", socket.display()));
        command.env("DOCKER_CONFIG", &place).env("PATH", &place).env("HOLDFAST_CACHE", place.join("cache"));
        let output = command.env_remove("HOLDFAST_REDIS_SERVER").output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(70));
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr))
    };
    let (table, told) = matrix(&[]);
    let why = "LEFT OUT: redis-7.2: the image redis:7.2: no registry is reached; an image is made of an engine of this \
               machine, which has none";
    assert_eq!(told.lines().filter(|line| *line == why).count(), 2, "before and after:\n{told}");
    assert_eq!((table.lines().count(), table.contains("redis-7.2")), (5, false), "{table}");
    let (table, told) = matrix(&["--engines", "redis-7.2"]);
    assert!(table.contains("redis-7.2") && !told.contains("LEFT OUT"), "{table}{told}");
    assert!(told.contains("redis-7.2 cannot be fetched but as an image"), "{told}");
}
