//! Images that must be pulled: which are nowhere, how far a pull is, and an end of it.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::{NEW, drill, engine, engine_that, place, refused};

/// Far above what any of it takes.
const SOON: Duration = Duration::from_secs(30);
/// How far a pull is, as an engine says it.
const FURTHER: Duration = Duration::from_millis(50);

fn interrupt(run: &Child) {
    let sent = Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("kill");
    assert!(sent.success());
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

/// A registry that does not answer is waited for as long as two minutes.
#[test]
fn who_interrupts_a_pull_waits_for_nothing() {
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
    interrupt(&run);
    let output = run.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{told}");
    assert!(interrupted.elapsed() < SOON, "it ended after {:?}", interrupted.elapsed());
    assert!(told.contains("interrupted; nothing was started"), "{told}");
    assert!(!place.join("runs").exists(), "a run was left");
}

/// In a log: for a person it is one line that changes.
#[test]
fn who_waits_for_a_pull_is_told_how_far_it_is() {
    const MB: usize = 1_000_000;
    let place = place("slow-pull");
    let socket = engine_that(&place, |request, stream| {
        let mut tell = |status: u16, body: &str| {
            let head = format!("HTTP/1.1 {status} Told\r\nContent-Type: application/json\r\nContent-Length: ");
            write!(stream, "{head}{}\r\n\r\n{body}", body.len())
        };
        if request.contains("/version") {
            return tell(200, NEW);
        }
        if !request.contains("/images/create") {
            return tell(404, r#"{"message":"No such image"}"#);
        }
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let mut step = |text: String| write!(stream, "{:x}\r\n{text}\r\n\r\n", text.len() + 2);
        step(r#"{"status":"Pulling from library/redis","id":"1"}"#.to_owned())?;
        step(r#"{"status":"Already exists","id":"first"}"#.to_owned())?;
        // Until nobody reads it any more.
        for bytes in (MB..).step_by(MB) {
            let far = format!("{{\"current\":{bytes},\"total\":900000000}}");
            step(format!("{{\"status\":\"Downloading\",\"progressDetail\":{far},\"id\":\"second\"}}"))?;
            thread::sleep(FURTHER);
        }
        Ok(())
    });
    let mut command = drill(Path::new(env!("CARGO_BIN_EXE_chaos")), &place, &socket);
    command.env("HOLDFAST_REDIS_IMAGE", "some-redis:1");
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut lines = BufReader::new(run.stderr.take().expect("a pipe")).lines();
    let (sender, first) = mpsc::channel();
    let reader = thread::spawn(move || {
        sender.send(lines.next().and_then(Result::ok).unwrap_or_default()).expect("the test waits");
        lines.map_while(Result::ok).collect::<Vec<_>>().join("\n")
    });
    let told = first.recv_timeout(SOON);
    interrupt(&run);
    let ended = run.wait().expect("it ends");
    let rest = reader.join().expect("it reads");
    let told = told.expect("nothing was told");
    assert!(told.starts_with("pulling some-redis:1: 1 of 2 layers, ") && told.ends_with(" of 900.0 MB"), "{told}");
    assert_eq!(ended.code(), Some(4), "{rest}");
}
