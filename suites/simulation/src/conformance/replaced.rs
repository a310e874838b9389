//! What clients see of a primary whose place its replica takes, and what it says of itself when the new one is gone.

use redis::aio::MultiplexedConnection;
use redis::{Value, cmd};
use tokio::time::{Duration, sleep, timeout};

use super::Pair;
use super::script::{asked, pushed};
use super::shape::As;

/// At the old primary.
const REPLACED: &[(&str, As)] = &[
    ("GET {p1}k", As::Exact),
    ("SET {p1}k x", As::Exact),
    ("SPUBLISH {p1}w hello", As::Exact),
    ("WAIT 1 100", As::Code),
    ("ROLE", As::Types),
];

pub async fn run(pair: &mut Pair, said: &mut Vec<String>) {
    said.push(asked("", &mut pair.primary, "SSUBSCRIBE {p1}w", As::Exact).await);
    said.push(pushed(&mut pair.pushes).await);
    let waiting = pair.control.fresh().await;
    let (mut waits, mut later) = (waiting.clone(), waiting);
    let wait = tokio::spawn(async move { asked("", &mut waits, "WAIT 2 2000", As::Exact).await });
    pair.control.replace().await;
    let answer = timeout(Duration::from_secs(3), wait).await;
    said.push(format!("replaced meanwhile: {}", answer.expect("an answer in 3 s").expect("no panic")));
    let ping = timeout(Duration::from_millis(500), cmd("PING").query_async::<Value>(&mut later)).await;
    said.push(format!("whoever waited is cut off: {}", ping.is_ok_and(|answer| answer.is_err())));
    said.push(pushed(&mut pair.pushes).await);
    let mut fresh = pair.control.fresh().await;
    for (line, how) in REPLACED {
        said.push(asked("replaced: ", &mut fresh, line, *how).await);
    }
    said.push(until("it follows: ", &mut fresh, |said| said.contains("master_link_status:up")).await);
    pair.control.kill_replica();
    said.push(until("its primary is gone: ", &mut fresh, |said| said.contains("down for seconds")).await);
    pair.control.restart_primary();
    let mut fresh = pair.control.fresh().await;
    // It follows whom its nodes.conf names from its first cron on.
    said.push(until("it starts again: ", &mut fresh, |said| said.contains("role:slave")).await);
}

async fn until(when: &str, connection: &mut MultiplexedConnection, holds: impl Fn(&str) -> bool) -> String {
    let mut said = String::new();
    for _ in 0..1000 {
        said = asked(when, connection, "INFO replication", As::Replication).await;
        if holds(&said) {
            return said;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("the last of 10 s: {said}");
}
