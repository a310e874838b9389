//! What keeps a node from its Redis is named on `/ready` and once in the log, and never with the secret; and with the
//! right settings messages are acked and delivered over TLS, also when Redis writes them late.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    chat_node::ChatNode,
    guarded::{Authority, Guarded, PASSWORD, Terminator},
    stock_client::{Door, StockClient},
    wait::{PATIENCE, eventually},
    warm::play,
};

const WRONG: &str = "wr0ng-password";
/// A node that believed a refusal to be an answer would ack within milliseconds.
const REFUSED: Duration = Duration::from_secs(1);

impl ChatNode {
    /// Says it on `/ready`, and in one warning for each cause however often it tries; never the secrets.
    async fn refuses_because(self, words: &str, causes: usize) {
        let said = async || {
            let reason = self.ready().await["reason"].as_str().unwrap_or_default().to_owned();
            reason.contains(words).then_some(reason)
        };
        let reason = eventually(&format!("{words:?} on /ready"), said).await;
        // It asks five times a second; whoever warns each time has done so by the tenth question.
        for _ in 0..10 {
            self.another_question().await;
        }
        let log = self.log();
        let warned = log.iter().filter(|line| line.contains("WARN") && line.contains(words)).count();
        assert!((1..=causes).contains(&warned), "{warned} warnings:\n{}", log.join("\n"));
        for secret in [PASSWORD, WRONG] {
            assert!(!reason.contains(secret) && !log.iter().any(|line| line.contains(secret)), "{reason}");
        }
    }

    /// Waits until the debug log tells of one more failed question.
    async fn another_question(&self) {
        let asked = || self.log().iter().filter(|line| line.contains("did not say what the cluster")).count();
        let before = asked();
        eventually("another question", async || (asked() > before).then_some(())).await;
    }
}

fn node(flags: &[&str]) -> ChatNode {
    ChatNode::start(&[&["--auth", "none", "--delivery", "log"], flags].concat())
}

fn url(scheme: &str, address: SocketAddr) -> String {
    format!("{scheme}://{address}")
}

#[test]
fn what_keeps_a_node_from_its_redis_is_named_without_the_secret() {
    play(async {
        let redis = Guarded::start().await;
        let (tls, plain) = (url("rediss", redis.door()), url("redis", redis.plain()));
        let ca = redis.authority.file(&redis.folder, "ca.pem");
        let other_ca = Authority::new().file(&redis.folder, "other.pem");
        let (right, wrong) = (redis.write("right", PASSWORD), redis.write("wrong", WRONG));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let strict = Terminator::start(listener, redis.plain(), redis.authority.acceptor(), false);
        let strict = url("redis", strict.address);
        let log = ["--log", "info,holdfast=debug"];
        for (flags, words) in [
            (&["--redis", &plain, "--redis-password-file", &wrong][..], "refuses the user or the password"),
            (&["--redis", &plain], "refuses the user or the password"),
            (&["--redis", &plain, "--redis-username", "nobody", "--redis-password-file", &right], "refuses the user"),
            (&["--redis", &tls, "--redis-ca-file", &ca, "--redis-password-file", &wrong], "refuses the user"),
            (&["--redis", &tls, "--redis-ca-file", &other_ca, "--redis-password-file", &right], "is not trusted"),
            (&["--redis", &strict, "--redis-password-file", &right], "does it want TLS (rediss://)?"),
        ] {
            node(&[flags, &log].concat()).refuses_because(words, 1).await;
        }
        let plain_as_tls = url("rediss", redis.plain());
        let flags = ["--redis", &plain_as_tls, "--redis-ca-file", &ca, "--redis-password-file", &right];
        // Redis takes the handshake for half a command or for a wrong one, as the bytes fall: two causes in turn.
        node(&[&flags[..], &log].concat()).refuses_because("does it speak TLS?", 2).await;
    });
}

#[test]
fn messages_are_acked_and_delivered_with_redis_behind_tls_and_a_password() {
    play(async {
        let mut redis = Guarded::start().await;
        let (tls, ca) = (url("rediss", redis.door()), redis.authority.file(&redis.folder, "ca.pem"));
        let password = redis.write("password", PASSWORD);
        let flags = ["--redis", &tls, "--redis-ca-file", &ca, "--redis-password-file", &password];
        let node = node(&[&flags[..], &["--log", "trace"]].concat());
        let up = json!({ "status": "ready" });
        eventually("a node that is ready", async || (node.ready().await == up).then_some(())).await;
        let door = Door::beside(&node.address().await.to_string());
        let mut ann = StockClient::join(&door, "ann", "r", None).await.expect("ann is in");
        let mut bob = StockClient::join(&door, "bob", "r", None).await.expect("bob is in");
        let ack = ann.send("m-1", 1, PATIENCE).await.expect("a connection that lasts");
        assert!(ack.is_some(), "no ack:\n{}", node.log().join("\n"));
        assert!(bob.read_until(PATIENCE, |received| received.iter().any(|said| said["id"] == "m-1")).await);

        // Nobody writes: what cannot be acked any more is seen all the same.
        drop(ann);
        redis.end_replica();
        let seen = async || {
            let degraded = node.ready().await["degraded"][0].as_str().map(str::to_owned);
            degraded.filter(|degraded| degraded.contains("0 of 1 replicas are attached"))
        };
        eventually("a shard without its replica on /ready", seen).await;

        // Nothing is left: who is here may wait for a room, who comes is sent elsewhere.
        redis.end_primary();
        let unready = async || (node.ready().await["status"] == "unready").then_some(());
        eventually("a node without any shard on /ready", unready).await;
        let joining = bob.ask("join", &json!({ "room": "later" })).await.expect("a connection that lasts");
        let waiting = json!({ "content": "waits for its room", "room": "later" });
        let waiting = bob.ask("chat-message", &waiting).await.expect("a connection that lasts");
        let elsewhere = json!({ "content": "x", "room": "elsewhere" });
        let elsewhere = bob.ask("chat-message", &elsewhere).await.expect("a connection that lasts");
        let refused = bob.answer(elsewhere, PATIENCE).await.expect("other rooms go on");
        assert_eq!(refused["error"]["code"], "not_in_room");
        assert!(!bob.has_answer(joining) && !bob.has_answer(waiting), "answered without a shard");
        let late = StockClient::join(&door, "carl", "r", None).await.err().expect("a refusal");
        assert!(late.contains("503"), "{late}");
        let secret = node.log().into_iter().find(|line| line.contains(PASSWORD) || line.contains("says m-1"));
        assert!(secret.is_none(), "the log tells a secret: {secret:?}");
    });
}

/// No ack for what was refused, neither at once nor for a message sent again; afterwards everything goes on by itself.
#[test]
fn what_redis_refuses_to_write_is_acked_when_it_is_written() {
    play(async {
        let redis = Guarded::start().await;
        let password = redis.write("password", PASSWORD);
        let ca = redis.authority.file(&redis.folder, "ca.pem");
        let tls = url("rediss", redis.door());
        let node = node(&["--redis", &tls, "--redis-ca-file", &ca, "--redis-password-file", &password]);
        let up = json!({ "status": "ready" });
        eventually("a node that is ready", async || (node.ready().await == up).then_some(())).await;
        let door = Door::beside(&node.address().await.to_string());
        let mut ann = StockClient::join(&door, "ann", "r", None).await.expect("ann is in");
        let mut bob = StockClient::join(&door, "bob", "r", None).await.expect("bob is in");
        assert!(ann.send("m-1", 1, PATIENCE).await.expect("a connection that lasts").is_some());

        redis.refuse_writes(true).await;
        for attempt in 1..=2 {
            let ack = ann.send("m-2", attempt, REFUSED).await.expect("a connection that lasts");
            assert!(ack.is_none(), "acked, and Redis refused it: {ack:?}");
        }
        // It is known; nothing shows that it still is where it was.
        let again = ann.send("m-1", 2, REFUSED).await.expect("a connection that lasts");
        assert!(again.is_none(), "acked without a fence: {again:?}");
        let reason = node.ready().await.to_string();
        assert!(reason.contains("NOREPLICAS"), "/ready says {reason}");

        redis.refuse_writes(false).await;
        for (id, attempt) in [("m-1", 3), ("m-2", 3)] {
            let ack = ann.send(id, attempt, PATIENCE).await.expect("a connection that lasts");
            assert!(ack.is_some(), "no ack for {id}:\n{}", node.log().join("\n"));
        }
        assert!(bob.read_until(PATIENCE, |received| received.iter().any(|said| said["id"] == "m-2")).await);
        let ids: Vec<_> = bob.received.iter().map(|said| said["id"].as_str().unwrap_or_default()).collect();
        assert_eq!(ids, ["m-1", "m-2"]);
    });
}

/// Half of a drain is for clients that move on; who stays for an answer may wait for longer.
#[test]
fn what_redis_writes_late_in_a_drain_is_acked_before_the_node_goes() {
    const DRAIN: Duration = Duration::from_secs(10);
    play(async {
        let redis = Guarded::start().await;
        let (tls, ca) = (url("rediss", redis.door()), redis.authority.file(&redis.folder, "ca.pem"));
        let password = redis.write("password", PASSWORD);
        let within = format!("{}s", DRAIN.as_secs());
        let flags = ["--redis", &tls, "--redis-ca-file", &ca, "--redis-password-file", &password];
        let mut node = node(&[&flags[..], &["--drain-within", &within]].concat());
        let up = json!({ "status": "ready" });
        eventually("a node that is ready", async || (node.ready().await == up).then_some(())).await;
        let door = Door::beside(&node.address().await.to_string());
        let mut ann = StockClient::join(&door, "ann", "r", None).await.expect("ann is in");

        redis.hold_writes(DRAIN * 6 / 10).await;
        let message = json!({ "content": "in flight", "room": "r" });
        let asked = ann.ask("chat-message", &message).await.expect("a connection that lasts");
        let taken = async || (node.metric("chat_messages_accepted_total").await > 0.5).then_some(());
        eventually("that the message is taken", taken).await;
        node.terminate();
        // From here on, however long it took to come here.
        redis.hold_writes(DRAIN * 6 / 10).await;
        let began = Instant::now();
        let answer = ann.answer(asked, PATIENCE).await;
        let answer = answer.unwrap_or_else(|| panic!("put out without an answer:\n{}", node.log().join("\n")));
        assert!(answer["offset"].is_string(), "{answer}");
        assert!(began.elapsed() > DRAIN / 2, "not late: {:?}", began.elapsed());
        let status = eventually("that the node ends", async || node.ended()).await;
        assert!(status.success(), "{status}");
    });
}
