//! Settings, what an operator asks, and the end.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::CommandFactory;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use system_server::config::Args;

use crate::client::Client;
use crate::server::{NODE, PATIENCE, Server};

fn refused(arguments: &[&str], environment: &[(&str, &OsStr)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-node"));
    let output = command.args(arguments).envs(environment.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn a_wrong_setting_is_one_line_that_says_what_and_where() {
    assert!(refused(&["--listen", "nowhere"], &[]).contains("--listen: \"nowhere\""));
    assert!(refused(&[], &[("CHAT_LISTEN", OsStr::new("nowhere"))]).contains("CHAT_LISTEN: \"nowhere\""));
    assert!(refused(&["--auth", "none", "--listen", "192.0.2.1:0"], &[]).contains("192.0.2.1:0"));
    assert!(refused(&["--lisen", "x"], &[]).contains("--lisen"));
    assert!(refused(&["--ping-interval"], &[]).contains("--ping-interval"));
}

/// "=" is nothing that any setting could mean, nor is what is no text at all.
#[test]
fn each_flag_has_a_variable_that_is_read_and_named() {
    let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", OsStr::new("http://127.0.0.1:1"));
    let command = Args::command();
    let mut variables = Vec::new();
    for argument in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
        let variable = argument.get_env().unwrap_or_else(|| panic!("{} has none", argument.get_id())).to_str().unwrap();
        let collector = Some(collector).filter(|(name, _)| *name != variable);
        for value in [OsStr::new("="), OsStr::from_bytes(b"\xff")] {
            let environment: Vec<_> = collector.into_iter().chain([(variable, value)]).collect();
            let line = refused(&[], &environment);
            assert!(line.contains(&format!("{variable}: ")), "{variable}: {line}");
        }
        variables.push(variable.to_owned());
    }
    for contracted in ["CHAT_LISTEN", "CHAT_REDIS_URLS"] {
        assert!(variables.iter().any(|variable| variable == contracted), "{variables:?}");
    }
    assert!(variables.len() > 25, "{variables:?}");
}

#[tokio::test]
async fn an_operator_gets_health_readiness_and_metrics() {
    let server = Server::open(&["--http-rate-limit", "3"]).await;
    let health: Value = serde_json::from_str(&server.get("/health").await.body).unwrap();
    assert_eq!(health["status"], "healthy");
    assert!(health["timestamp"].as_u64().unwrap() > 1_600_000_000_000);
    assert_eq!(server.get("/ready").await.status, 200);
    let mut ann = Client::join(&server, "ann").await;
    ann.call("chat-message", json!({ "content": "x" })).await;
    ann.contents(1).await;
    // An ack is on the wire before it is counted.
    let deadline = Instant::now() + PATIENCE;
    let metrics = loop {
        let metrics = server.get("/metrics").await;
        if ["chat_ack_seconds", "chat_delivery_seconds"].iter().all(|name| metrics.body.contains(name)) {
            break metrics;
        }
        assert!(Instant::now() < deadline, "never counted:\n{}", metrics.body);
    };
    assert!(metrics.head.contains("text/plain; version=0.0.4"), "{}", metrics.head);
    for metric in system_server::names::ALL {
        let unlabelled = !metric.labels.contains(&"shard");
        assert!(
            !unlabelled || metrics.body.contains(&format!("# TYPE {} ", metric.name)),
            "{} is missing",
            metric.name
        );
    }
    server.metric_once("chat_appends_pending", |pending| pending < 0.5).await;
}

#[tokio::test]
async fn other_paths_are_limited_and_say_so() {
    let server = Server::open(&["--http-rate-limit", "2"]).await;
    let first = server.get("/").await;
    assert_eq!(first.status, 200);
    assert!(
        first.head.contains("ratelimit-limit: 2") && first.head.contains("ratelimit-remaining: 1"),
        "{}",
        first.head
    );
    assert!(first.head.contains("ratelimit-policy: 2;w=900"), "{}", first.head);
    assert!(first.head.contains("ratelimit: limit=2, remaining=1, reset="), "{}", first.head);
    assert_eq!(server.get("/nothing-here").await.status, 404);
    let third = server.get("/").await;
    assert_eq!(third.status, 429);
    assert!(third.head.contains("retry-after: "), "{}", third.head);
    assert_eq!(server.get("/health").await.status, 200);
    Client::join(&server, "ann").await;
}

/// The page's own files come with it.
#[tokio::test]
async fn a_visit_of_the_page_costs_one_request() {
    let server = Server::open(&["--http-rate-limit", "2"]).await;
    let page = server.get("/").await;
    let files: Vec<_> = page.body.split('"').filter(|text| text.starts_with("page/")).collect();
    assert!(files.len() >= 3, "{files:?}");
    for _ in 0..3 {
        for file in &files {
            let answer = server.get(&format!("/{file}")).await;
            assert_eq!(answer.status, 200, "{file}");
            assert!(answer.head.contains("immutable") && !answer.head.contains("ratelimit"), "{}", answer.head);
        }
    }
    let unknown = files[0].rsplit_once('/').unwrap().0;
    let second = server.get(&format!("/{unknown}/nothing.js")).await;
    assert_eq!(second.status, 404);
    assert!(second.head.contains("ratelimit-remaining: 0"), "what is no file of the page counts: {}", second.head);
    assert_eq!(server.get("/page/another-version/main.js").await.status, 429);
}

#[tokio::test]
async fn the_limit_is_the_addresses_that_a_trusted_proxy_names() {
    let server = Server::open(&["--http-rate-limit", "1", "--trusted-proxies", "127.0.0.0/8"]).await;
    let from = |address: &str| format!("X-Forwarded-For: {address}\r\n");
    for (forwarded, status) in [
        ("1.1.1.1", 200),
        ("1.1.1.1", 429),
        ("2.2.2.2", 200),
        ("1.1.1.1, 3.3.3.3", 200),
        // As some proxies write it.
        ("1.1.1.1:1234", 429),
        ("4.4.4.4:1234", 200),
        ("4.4.4.4:1235", 429),
        ("[2001:db8::1]:443", 200),
        ("[2001:db8::1]", 429),
    ] {
        assert_eq!(server.request("GET", "/", &from(forwarded)).await.status, status, "{forwarded}");
    }
    let distrusting = Server::open(&["--http-rate-limit", "1"]).await;
    assert_eq!(distrusting.request("GET", "/", &from("1.1.1.1")).await.status, 200);
    assert_eq!(distrusting.request("GET", "/", &from("2.2.2.2")).await.status, 429, "its word is nobody's");
}

/// Every connection is a descriptor; what a shell allows is often 1024.
#[tokio::test]
async fn a_node_may_open_as_many_files_as_its_system_allows() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -Sn 100 && ulimit -Hn 2000 && exec \"$0\" --listen 127.0.0.1:0 --auth none", NODE]);
    let server = Server::run(shell).await;
    let limits = server.proc("limits");
    let open_files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let [soft, hard] = [3, 4].map(|nth| open_files.split_whitespace().nth(nth).unwrap());
    assert_eq!((soft, hard), ("2000", "2000"), "{open_files}");
}

/// What a test of this very suite leaves when it is killed.
#[test]
fn a_node_ends_with_the_test_that_started_it() {
    let left = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server = runtime.block_on(Server::open(&[]));
        assert!(server.proc("stat").contains("(chat-node) "));
        Box::leak(Box::new(server))
    });
    let left = left.join().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !left.proc("stat").contains(") Z ") {
        assert!(Instant::now() < deadline, "it goes on: {}", left.proc("stat"));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// However little that is: goodbyes take a part of it, nothing beyond it.
#[tokio::test]
async fn a_drain_takes_no_longer_than_it_may() {
    // A drain that is not cut short takes its goodbye of 500 ms every time; a busy machine makes one late, not each.
    let mut seen = Vec::new();
    for _ in 0..5 {
        let mut server = Server::open(&["--drain-within", "100ms"]).await;
        // One without a session is told nothing, and stays.
        let _ann = Client::dial(&server).await;
        server.signal(Signal::SIGTERM);
        assert_eq!(server.exit_code().await, 0);
        let log = server.log();
        let mut lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let drained = lines.find(|line| line["message"] == "drained").unwrap();
        seen.push(drained["millis"].as_u64().unwrap());
        if seen.last().is_some_and(|took| *took < 500) {
            return;
        }
    }
    panic!("of 100 ms: {seen:?} ms");
}

#[tokio::test]
async fn sigterm_tells_clients_answers_what_it_took_and_exits_with_0() {
    let mut server = Server::open(&["--rate-limit", "1000", "--drain-within", "10s"]).await;
    let mut ann = Client::join(&server, "ann").await;
    let began = Instant::now();
    server.signal(Signal::SIGTERM);
    let draining = ann.event("draining").await;
    assert!(draining["reconnect_within_ms"].as_u64().is_some_and(|ms| (1..=10_000).contains(&ms)), "{draining}");
    let refused = ann.call("chat-message", json!({ "content": "too late" })).await;
    assert_eq!(refused["error"]["code"], "draining");
    let ready = server.get("/ready").await;
    assert_eq!((ready.status, ready.body.contains("draining")), (503, true));
    assert_eq!(server.get("/socket.io/?EIO=4&transport=websocket").await.status, 503);
    ann.closed().await;
    assert_eq!(server.exit_code().await, 0);
    assert!(began.elapsed() < Duration::from_secs(10), "it was done long before: {:?}", began.elapsed());
}

#[tokio::test]
async fn messages_in_flight_at_sigterm_are_acked_or_refused_and_none_is_forgotten() {
    let mut server = Server::open(&["--rate-limit", "100000"]).await;
    let mut ann = Client::join(&server, "ann").await;
    ann.call("chat-message", json!({ "content": "early" })).await;
    let mut asked = Vec::new();
    for n in 0..500 {
        asked.push(ann.ask("chat-message", &json!({ "content": n.to_string() })).await);
        if n == 250 {
            server.signal(Signal::SIGTERM);
        }
    }
    let (mut acked, mut refused) = (0, 0);
    for id in asked {
        match ann.ack(id).await["error"]["code"].as_str() {
            None => acked += 1,
            Some("draining") => refused += 1,
            Some(other) => panic!("{other}"),
        }
    }
    assert_eq!(acked + refused, 500, "{acked} acked, {refused} refused");
    drop(ann);
    assert_eq!(server.exit_code().await, 0);
}

#[tokio::test]
async fn without_its_redis_a_node_starts_says_so_and_sends_clients_elsewhere() {
    let mut server =
        Server::open(&["--redis", "redis://127.0.0.1:1,redis://127.0.0.1:2", "--drain-within", "3s"]).await;
    let ready = server.get("/ready").await;
    let body: Value = serde_json::from_str(&ready.body).unwrap();
    assert_eq!((ready.status, &body["status"]), (503, &json!("unready")));
    assert!(body["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{body}");
    assert_eq!(server.get("/health").await.status, 200);
    assert!(server.metric("chat_ready").await < 0.5);
    let handshake = server.get("/socket.io/?EIO=4&transport=websocket").await;
    assert_eq!((handshake.status, handshake.body.as_str()), (503, r#"{"code":3,"message":"Not ready"}"#));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.exit_code().await, 0);
}
