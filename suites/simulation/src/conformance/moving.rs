//! What two primaries answer while a slot moves from one to the other, and what one alone answers without the other.

use redis::aio::MultiplexedConnection;
use redis::{Value, cmd};
use tokio::time::{Duration, sleep};

use super::Halves;
use super::script::{LIBRARY, asked, pushed};
use super::shape::As;
use crate::model::slot_of;

/// The slot that moves, `{goes}`: of the first half, as is `{kept}`; `{other}` is of the second.
pub fn slot() -> u16 {
    slot_of(b"{goes}")
}

enum To {
    First,
    Second,
}

use To::{First, Second};

const BEFORE: &[(To, &str)] = &[
    (First, "GET {other}a"),
    (First, "SET {other}a 1"),
    (First, "SPUBLISH {other}c hello"),
    (First, "FCALL holdfast_enter_v1 2 {other}r {other}n 1 "),
    (First, "SET {goes}a 1"),
    (First, "SET {goes}b 2"),
    (First, "SSUBSCRIBE {goes}c"),
];

const MOVING: &[(To, &str)] = &[
    (First, "GET {goes}a"),
    (First, "GET {goes}none"),
    (First, "SET {goes}new 1"),
    (First, "EXISTS {goes}a {goes}b"),
    (First, "EXISTS {goes}a {goes}none"),
    (First, "EXISTS {goes}none {goes}new"),
    (First, "FCALL holdfast_append_v1 3 {goes}r {goes}d {goes}n 1000 1 3 0 ann m1 hello "),
    (First, "FCALL holdfast_append_v1 3 {goes}r {goes}a {goes}n 1000 1 3 0 ann m1 hello "),
    (First, "SPUBLISH {goes}c hello"),
    (Second, "GET {goes}a"),
    (Second, "SET {goes}new 1"),
    (Second, "SPUBLISH {goes}c hello"),
    (Second, "ASKING"),
    (Second, "GET {goes}a"),
    (Second, "GET {goes}a"),
    (Second, "ASKING"),
    (Second, "EXISTS {goes}a {goes}b"),
    (Second, "ASKING"),
    (Second, "FCALL holdfast_append_v1 3 {goes}r {goes}d {goes}n 1000 1 3 0 ann m1 hello "),
    (Second, "ASKING"),
    (Second, "SET {goes}new 1"),
    (Second, "ASKING"),
    (Second, "EXISTS {goes}new"),
];

const HALF_MOVED: &[(To, &str)] = &[
    (First, "GET {goes}a"),
    (First, "GET {goes}b"),
    (First, "EXISTS {goes}a {goes}b"),
    (Second, "GET {goes}a"),
    (Second, "ASKING"),
    (Second, "GET {goes}a"),
    (Second, "ASKING"),
    (Second, "EXISTS {goes}a {goes}b"),
    (Second, "ASKING"),
    (Second, "EXISTS {goes}a {goes}new"),
];

const MOVED: &[(To, &str)] = &[
    (First, "GET {goes}a"),
    (First, "SET {goes}a 2"),
    (First, "SPUBLISH {goes}c hello"),
    (First, "FCALL holdfast_append_v1 3 {goes}r {goes}d {goes}n 1000 1 3 0 ann m1 hello "),
    (Second, "GET {goes}a"),
    (Second, "GET {goes}b"),
    (Second, "EXISTS {goes}a {goes}b {goes}new"),
];

/// The second says nothing, and the first has no majority.
const ALONE: &[(To, &str)] = &[
    (First, "PING"),
    (First, "GET {kept}a"),
    (First, "SET {kept}a 1"),
    (First, "SPUBLISH {kept}c hello"),
    (First, "FCALL holdfast_enter_v1 2 {kept}r {kept}n 1 "),
    (First, "GET {other}a"),
];

/// As above, and reads are allowed.
const ALONE_AND_READ: &[(To, &str)] = &[
    (First, "GET {kept}a"),
    (First, "XRANGE {kept}r - +"),
    (First, "FCALL_RO holdfast_heads_v1 1 {kept}r"),
    (First, "SET {kept}a 1"),
    (First, "FCALL holdfast_enter_v1 2 {kept}r {kept}n 1 "),
    (First, "SPUBLISH {kept}c hello"),
    (First, "GET {other}a"),
];

async fn script(when: &str, halves: &mut Halves, lines: &[(To, &str)], said: &mut Vec<String>) {
    for (to, line) in lines {
        let (name, connection) = match to {
            First => ("first", &mut halves.first),
            Second => ("second", &mut halves.second),
        };
        said.push(asked(&format!("{when}, {name}: "), connection, line, As::Exact).await);
    }
}

async fn seen(when: &str, halves: &mut Halves, said: &mut Vec<String>) {
    said.push(asked(&format!("{when}, first: "), &mut halves.first, "CLUSTER NODES", As::Nodes).await);
    said.push(asked(&format!("{when}, second: "), &mut halves.second, "CLUSTER NODES", As::Nodes).await);
}

pub async fn run(halves: &mut Halves) -> Vec<String> {
    let mut said = Vec::new();
    for connection in [&mut halves.first, &mut halves.second] {
        cmd("FUNCTION").arg("LOAD").arg(LIBRARY).query_async::<Value>(connection).await.expect("a library");
    }
    script("two halves", halves, BEFORE, &mut said).await;
    said.push(pushed(&mut halves.pushes).await);
    halves.operator.begin(slot()).await;
    seen("moving", halves, &mut said).await;
    script("moving", halves, MOVING, &mut said).await;
    said.push(pushed(&mut halves.pushes).await);
    halves.operator.move_key("{goes}a").await;
    script("half moved", halves, HALF_MOVED, &mut said).await;
    halves.operator.move_key("{goes}b").await;
    halves.operator.end(slot()).await;
    // The subscriber is told without having asked, and its client takes that for the answer to whatever it has asked since.
    said.push(pushed(&mut halves.pushes).await);
    seen("moved", halves, &mut said).await;
    script("moved", halves, MOVED, &mut said).await;
    halves.operator.pause_second(true);
    said.push(until_alone(&mut halves.first).await);
    script("alone", halves, ALONE, &mut said).await;
    halves.operator.allow_reads_when_down().await;
    script("alone, reads allowed", halves, ALONE_AND_READ, &mut said).await;
    halves.operator.pause_second(false);
    said
}

async fn until_alone(connection: &mut MultiplexedConnection) -> String {
    let mut said = String::new();
    for _ in 0..1000 {
        said = asked("alone: ", connection, "CLUSTER INFO", As::ClusterInfo).await;
        if said.contains("cluster_state:fail") {
            return said;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("the last of 10 s: {said}");
}
