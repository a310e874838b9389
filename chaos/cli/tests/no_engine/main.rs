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
    process::{Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
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

#[test]
fn every_image_that_is_nowhere_is_named_at_once() {
    let place = place("no-images");
    let socket = engine(&place, |request| match request {
        request if request.contains("/version") => (200, NEW),
        _ => (404, r#"{"message":"it is nowhere"}"#),
    });
    let told = refused(&place, &socket, |command| {
        command.env("HOLDFAST_REDIS_IMAGE", "no-redis:1").env("HOLDFAST_CHAT_IMAGE", "no-chat:1");
    });
    assert!(told.contains("the image no-redis:1: it is nowhere; the image no-chat:1: it is nowhere"), "{told}");
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

/// A registry that does not answer is waited for as long as two minutes.
#[test]
fn who_interrupts_a_pull_waits_for_nothing() {
    const SOON: Duration = Duration::from_secs(30);
    let place = place("long-pull");
    let (sender, pulls) = mpsc::channel();
    let socket = engine(&place, move |request| {
        if request.contains("/version") {
            return (200, NEW);
        }
        if request.contains("/images/create") {
            sender.send(()).expect("the test waits");
            loop {
                thread::park();
            }
        }
        (404, r#"{"message":"No such image"}"#)
    });
    let mut command = drill(Path::new(env!("CARGO_BIN_EXE_chaos")), &place, &socket);
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    pulls.recv_timeout(SOON).expect("it pulls");
    let interrupted = Instant::now();
    let sent = Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("kill");
    assert!(sent.success());
    let output = run.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{told}");
    assert!(interrupted.elapsed() < SOON, "it ended after {:?}", interrupted.elapsed());
    assert!(told.contains("interrupted; nothing was started"), "{told}");
    assert!(!place.join("runs").exists(), "a run was left");
}

/// `docker` and its engine, in which the image of a Redis says what it is; there is no network.
fn one_image(place: &Path, command: &mut Command) {
    let docker = place.join("docker");
    fs::write(&docker, "#!/bin/sh\n[ \"$1\" = info ] && echo this-engine\nexit 0\n").expect("a script");
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).expect("our own");
    command.env("PATH", format!("{}:/usr/bin:/bin", place.display()));
    command.env("HOLDFAST_REDIS_IMAGE", "some-redis:1").env("HOLDFAST_CHAT_IMAGE", "some-chat:1");
}

fn engine_with_images(place: &Path) -> PathBuf {
    engine(place, |request| match request {
        request if request.contains("/version") => (200, NEW),
        request if request.contains("/info") => (200, r#"{"ID":"this-engine"}"#),
        request if request.contains("/images/some-chat:1") => (404, r#"{"message":"No such image"}"#),
        request if request.starts_with("GET") && request.contains("/images/") => (200, r#"{"Id":"an-image"}"#),
        request if request.contains("/images/create") => (200, r#"{"status":"pulled"}"#),
        request if request.contains("/containers/create") => (201, r#"{"Id":"one","Warnings":[]}"#),
        request if request.contains("/start") => (204, ""),
        request if request.contains("/logs") => (200, "\x01\0\0\0\0\0\0\x1fRedis server v=7.2.4 sha=none:0\n"),
        request if request.starts_with("DELETE") => (204, ""),
        _ => (500, r#"{"message":"no networks today"}"#),
    })
}

#[test]
fn with_an_image_for_them_no_chat_node_is_looked_for_on_this_machine() {
    let place = place("only-images");
    let socket = engine_with_images(&place);
    let mut command = drill(Path::new(env!("CARGO_BIN_EXE_chaos")), &place, &socket);
    one_image(&place, &mut command);
    // One that was given and is not there is an error, if anybody looks.
    let output = command.env("CHAT_NODE", place.join("nowhere")).output().expect("the binary starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(70), "{told}");
    assert!(told.contains("Redis 7.2.4") && told.contains("no networks today"), "{told}");
    assert!(!told.contains("the chat node that was given"), "{told}");
}

#[test]
fn a_plan_says_what_containers_would_be_made_with_and_of_and_what_is_missing() {
    let place = place("outlook");
    let socket = engine_with_images(&place);
    let plan = |prepare: &dyn Fn(&mut Command)| {
        let mut command = drill(Path::new(env!("CARGO_BIN_EXE_chaos")), &place, &socket);
        one_image(&place, &mut command);
        prepare(&mut command);
        let output = command.arg("--dry-run").output().expect("the binary starts");
        let [out, told] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (output.status.code(), out, told)
    };
    let (code, out, told) = plan(&|_| {});
    assert_eq!((code, told.as_str()), (Some(0), ""), "{out}");
    for line in [
        "engine        any, the one of the image",
        &format!("containers    of Docker 26.1.5 ({})", socket.display()),
        "Redis: the image some-redis:1, here",
        "chat: the image some-chat:1, to be pulled",
    ] {
        assert!(out.contains(line), "{line} is not in:\n{out}");
    }
    let (code, out, told) = plan(&|command| {
        command.env_remove("HOLDFAST_CHAT_IMAGE").env("CHAT_NODE", "/nowhere/chat-node");
    });
    assert_eq!(code, Some(70), "{out}");
    assert!(told.contains("the chat node that was given, /nowhere/chat-node: there is no such file"), "{told}");
    let (code, out, told) = plan(&|command| {
        command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    });
    assert!(code == Some(70) && out.contains("primary-kill: "), "{out}");
    assert!(told.contains("no Docker engine") && told.contains("/nowhere/docker.sock"), "{told}");
    assert!(!place.join("runs").exists(), "a run was left");
}

#[test]
fn a_plan_says_that_a_chat_node_is_built_first() {
    let place = place("unbuilt");
    let (socket, target) = (engine_with_images(&place), place.join("target/debug"));
    for folder in [&target, &place.join("system/server")] {
        fs::create_dir_all(folder).expect("a writable folder");
    }
    fs::write(place.join("Cargo.toml"), "").expect("written");
    let mut command = drill(&chaos_in(&target), &place, &socket);
    one_image(&place, &mut command);
    command.env_remove("HOLDFAST_CHAT_IMAGE").env_remove("CHAT_NODE");
    let output = command.arg("--dry-run").output().expect("the binary starts");
    let [out, told] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert_eq!((output.status.code(), told.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("/target/debug/chat-node, built from the workspace first, packed"), "{out}");
}

#[test]
fn a_plan_tells_every_image_whose_name_is_none() {
    let place = place("bad-names");
    let socket = engine(&place, |request| match request {
        request if request.contains("/version") => (200, NEW),
        request if request.contains("/info") => (200, r#"{"ID":"this-engine"}"#),
        _ => (400, r#"{"message":"invalid reference format"}"#),
    });
    let mut command = drill(Path::new(env!("CARGO_BIN_EXE_chaos")), &place, &socket);
    one_image(&place, &mut command);
    command.env("HOLDFAST_REDIS_IMAGE", "bad-redis").env("HOLDFAST_CHAT_IMAGE", "bad-chat");
    let output = command.arg("--dry-run").output().expect("the binary starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(70), "{told}");
    let both = "the image bad-redis: invalid reference format; the image bad-chat: invalid reference format";
    assert!(told.contains(both), "{told}");
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
