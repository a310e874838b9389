//! The commands, and how their answers are compared.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, PushInfo, Value, cmd};
use tokio::sync::mpsc;
use tokio::time::{Duration, sleep, timeout};

use super::shape::{As, show};
use super::{Pair, replaced};

/// Sent to the primary, in this order.
const TO_PRIMARY: &[(&str, As)] = &[
    ("PING", As::Exact),
    ("PING hello", As::Exact),
    ("HELLO 3", As::Types),
    ("CLIENT SETINFO LIB-NAME x", As::Code),
    ("NONSENSE a b", As::Code),
    ("GET", As::Exact),
    ("SET {p1}a 1", As::Exact),
    ("SET {p1}b 2 PX 100000", As::Exact),
    ("SET {p1}b 3 NX", As::Exact),
    ("GET {p1}a", As::Exact),
    ("GET {p1}none", As::Exact),
    ("EXISTS {p1}a {p1}b {p1}none", As::Exact),
    ("EXISTS {p1}a {p2}b", As::Exact),
    ("PEXPIRE {p1}a 100000", As::Exact),
    ("PEXPIRE {p1}none 100000", As::Exact),
    ("PTTL {p1}none", As::Exact),
    ("TYPE {p1}a", As::Exact),
    ("XADD {p1}s 5-1 f v", As::Exact),
    ("XADD {p1}s 5-1 f v", As::Exact),
    ("XADD {p1}s 4-9 f v", As::Exact),
    ("XADD {p1}s 6-0 f w g x", As::Exact),
    ("XADD {p1}s 7 f y", As::Exact),
    ("XADD {p1}s * f", As::Exact),
    ("XADD {p1}a * f v", As::Exact),
    ("XADD {p1}s nonsense f v", As::Exact),
    ("XRANGE {p1}s - +", As::Exact),
    ("XRANGE {p1}s 5-1 6", As::Exact),
    ("XRANGE {p1}s (5-1 + COUNT 1", As::Exact),
    ("XRANGE {p1}s 5-2 5", As::Exact),
    ("XREVRANGE {p1}s + - COUNT 1", As::Exact),
    ("XREVRANGE {p1}s + - COUNT 2", As::Exact),
    ("XRANGE {p1}none - +", As::Exact),
    ("XRANGE {p1}a - +", As::Exact),
    ("XLEN {p1}s", As::Exact),
    ("XTRIM {p1}s MINID ~ 6-0", As::Exact),
    ("XTRIM {p1}s MINID 6-0", As::Exact),
    ("XRANGE {p1}s - +", As::Exact),
    ("XDEL {p1}s 6-0", As::Exact),
    ("XDEL {p1}s 6-0", As::Exact),
    ("XTRIM {p1}s MINID 9-0", As::Exact),
    ("EXISTS {p1}s", As::Exact),
    ("XADD {p1}s 7-0 f v", As::Exact),
    ("TYPE {p1}s", As::Exact),
    ("FCALL nothing 1 {p1}a", As::Exact),
    ("FCALL nothing 2 {p1}a", As::Exact),
    ("FCALL nothing 2 {p1}a {p2}a", As::Exact),
    ("DEL {p1}s", As::Exact),
    ("ROLE", As::Types),
    ("INFO replication", As::Replication),
    ("CLUSTER NODES", As::Nodes),
    ("CLUSTER INFO", As::ClusterInfo),
    ("CLUSTER SLOTS", As::Types),
    ("CLUSTER MYID", As::Types),
    ("CLUSTER KEYSLOT {p17}r:lobby", As::Exact),
    ("CONFIG GET appendonly", As::Types),
    ("CONFIG GET cluster-node-timeout", As::Types),
    ("WAIT 1 1000", As::Exact),
    ("WAIT 1", As::Exact),
    ("WAIT x 1", As::Exact),
    ("READONLY", As::Exact),
    ("READWRITE", As::Exact),
];

const TO_REPLICA: &[(&str, As)] = &[
    ("PING", As::Exact),
    ("GET {p1}a", As::Exact),
    ("SET {p1}a 1", As::Exact),
    ("XRANGE {p1}s - +", As::Exact),
    ("WAIT 1 100", As::Code),
    ("ROLE", As::Types),
    ("INFO replication", As::Replication),
    ("CLUSTER NODES", As::Nodes),
    ("CLUSTER INFO", As::ClusterInfo),
    ("READONLY", As::Exact),
    ("GET {p1}a", As::Exact),
    ("SET {p1}a 1", As::Exact),
    ("READWRITE", As::Exact),
    ("GET {p1}a", As::Exact),
];

fn command(line: &str) -> Cmd {
    let mut parts = line.split(' ');
    let mut command = cmd(parts.next().expect("a command"));
    parts.for_each(|part| {
        command.arg(part);
    });
    command
}

/// A command and its answer, as a line of the transcript.
pub async fn asked(who: &str, connection: &mut MultiplexedConnection, line: &str, how: As) -> String {
    let answer = command(line).query_async::<Value>(connection).await;
    format!("{who}{line} → {}", show(&answer, how))
}

/// What a subscriber was told, or that it was told nothing.
pub async fn pushed(pushes: &mut mpsc::UnboundedReceiver<PushInfo>) -> String {
    let push = timeout(Duration::from_secs(2), pushes.recv()).await.ok().flatten();
    let data = push.as_ref().map(|push| Value::Array(push.data.clone()));
    format!("push {:?} {:?}", push.map(|push| push.kind), data.map(|data| show(&Ok(data), As::Exact)))
}

/// Everything that was asked and answered, a line each.
pub async fn run(pair: &mut Pair) -> Vec<String> {
    let mut said = Vec::new();
    for (line, how) in TO_PRIMARY {
        said.push(asked("", &mut pair.primary, line, *how).await);
    }
    for (line, how) in TO_REPLICA {
        said.push(asked("replica: ", &mut pair.replica, line, *how).await);
    }
    functions(pair, &mut said).await;
    trims(pair, &mut said).await;
    subscribe(pair, &mut said).await;
    fences(pair, &mut said).await;
    replaced::run(pair, &mut said).await;
    said
}

/// The log's own functions, as `system-delivery` calls them. Ids that a server's clock gives are masked.
const FUNCTIONS: &[&str] = &[
    "FCALL holdfast_append_v1 3 {p1}r:x {p1}d:1 {p1}n 1000 1 3 0 ann m1 hello ",
    "FCALL holdfast_enter_v1 2 {p1}r:x {p1}n 1 ",
    "XLEN {p1}r:x",
    "GET {p1}n",
    "FCALL holdfast_append_v1 3 {p1}r:x {p1}d:1 {p1}n 900000 1 3 0 ann m1 hello ",
    "FCALL holdfast_append_v1 3 {p1}r:x {p1}d:2 {p1}n 900000 1 3 600000 bob m2 hi 00-trace",
    "FCALL holdfast_append_v1 3 {p1}r:x {p1}d:3 {p1}n 900000 1 3 0 bob m3 full ",
    "FCALL holdfast_append_v1 3 {p1}r:y {p1}d:4 {p1}n 900000 1 3 0 bob m3 second ",
    "FCALL holdfast_enter_v1 2 {p1}r:y {p1}n 1 ",
    "FCALL holdfast_enter_v1 2 {p1}r:x {p1}n 1 1-1",
    "FCALL_RO holdfast_heads_v1 2 {p1}r:x {p1}r:none",
    "FCALL holdfast_trim_v1 1 {p1}r:x 0",
    "XRANGE {p1}r:x - + COUNT 1",
    "XREVRANGE {p1}r:x + - COUNT 1",
];

pub const LIBRARY: &str = include_str!("../../../../system/delivery/src/append.lua");

async fn functions(pair: &mut Pair, said: &mut Vec<String>) {
    for _ in 0..2 {
        let load = cmd("FUNCTION").arg("LOAD").arg(LIBRARY).query_async::<Value>(&mut pair.primary).await;
        said.push(format!("FUNCTION LOAD → {}", show(&load, As::Exact)));
    }
    for line in FUNCTIONS {
        said.push(asked("", &mut pair.primary, line, As::Clocked).await);
    }
}

/// Streams of 35 entries, 1-0 to 35-0, in nodes of ten ([`super::STREAM_BLOCK`]): what a trim takes of them, whose it is.
const TRIMS: &[&str] = &[
    "XTRIM {p1}t MINID ~ 10-0",
    "XTRIM {p1}t MINID ~ 15-0",
    "XRANGE {p1}t - + COUNT 1",
    "XTRIM {p1}t MINID = 13-0",
    "XTRIM {p1}t MINID ~ 20-0",
    "XTRIM {p1}t MINID ~ 21-0",
    "XRANGE {p1}t - + COUNT 1",
    "FCALL holdfast_enter_v1 2 {p1}t {p1}n 9 30-0",
    "FCALL holdfast_append_v1 3 {p1}t {p1}d:5 {p1}n 900000 9 100 600000 ann m5 hello ",
    "FCALL holdfast_enter_v1 2 {p1}t {p1}n 9 30-0",
    "FCALL holdfast_enter_v1 2 {p1}t {p1}n 9 35-0",
    "XLEN {p1}t",
    "FCALL holdfast_trim_v1 1 {p1}u 0",
    "XLEN {p1}u",
    "XRANGE {p1}u - + COUNT 1",
    "FCALL holdfast_trim_v1 1 {p1}u 0",
];

async fn trims(pair: &mut Pair, said: &mut Vec<String>) {
    for stream in ["t", "u"] {
        for id in 1..=35 {
            let line = format!("XADD {{p1}}{stream} {id}-0 f v");
            said.push(asked("", &mut pair.primary, &line, As::Exact).await);
        }
    }
    for line in TRIMS {
        said.push(asked("", &mut pair.primary, line, As::Clocked).await);
    }
}

/// A sharded subscription, a message, an end.
async fn subscribe(pair: &mut Pair, said: &mut Vec<String>) {
    for line in ["SSUBSCRIBE {p1}b", "SPUBLISH {p1}b hello", "SPUBLISH {p1}none hello", "SUNSUBSCRIBE {p1}b"] {
        said.push(asked("", &mut pair.primary, line, As::Exact).await);
    }
    for _ in 0..3 {
        said.push(pushed(&mut pair.pushes).await);
    }
}

/// The rule that hides a lost acknowledgement: what WAIT counts from (docs/delivery.md, "What a fence is").
async fn fences(pair: &mut Pair, said: &mut Vec<String>) {
    for line in ["SET {p1}k v", "WAIT 1 1000"] {
        said.push(asked("", &mut pair.primary, line, As::Exact).await);
    }
    pair.control.pause_replica(true);
    // Let what was under way arrive: the acknowledgement of before must not count for what comes.
    sleep(Duration::from_millis(100)).await;
    for line in ["GET {p1}k", "WAIT 1 100", "SET {p1}k w", "GET {p1}k", "WAIT 1 100"] {
        said.push(asked("replica stopped: ", &mut pair.primary, line, As::Exact).await);
    }
    let mut fresh = pair.control.fresh().await;
    for line in ["GET {p1}k", "WAIT 1 100", "PEXPIRE {p1}k 100000", "WAIT 1 100"] {
        said.push(asked("replica stopped, fresh connection: ", &mut fresh, line, As::Exact).await);
    }
    // A dedupe hit as delivery makes it: a write that no replica holds, whatever the connection did before (nothing).
    let mut fresh = pair.control.fresh().await;
    let hit = "FCALL holdfast_append_v1 3 {p1}r:x {p1}d:2 {p1}n 900000 1 3 600000 bob m2 hi 00-trace";
    for (line, how) in [(hit, As::Clocked), ("WAIT 1 100", As::Exact)] {
        let answer = command(line).query_async::<Value>(&mut fresh).await;
        said.push(format!("replica stopped, a dedupe hit on a fresh connection: {line} → {}", show(&answer, how)));
        assert!(line == hit || answer == Ok(Value::Int(0)), "a hit that counts as held: {answer:?}");
    }
    pair.control.pause_replica(false);
    said.push(asked("replica runs: ", &mut fresh, "WAIT 1 3000", As::Exact).await);
}
