//! Why durability drills delay the replication link, and that the delay line does what it says.

use std::time::{Duration, Instant};

use chaos_cluster::{Cluster, LinkEnd, LinkKind, LinkState, Server, slot_of_key};

use crate::stage::{PATIENCE, shard, stage};

const DELAY: Duration = Duration::from_millis(200);
const KEY: &str = "log";

#[tokio::test]
async fn a_primary_killed_behind_a_delayed_link_takes_the_last_writes_with_it() {
    let lost = lost_by_a_kill(Some(DELAY)).await;
    assert!(lost.missing > 10, "{lost:?}");
    assert!(lost.dropped > 0, "the link dropped nothing: {lost:?}");
}

#[tokio::test]
async fn without_a_delay_the_kernel_still_delivers_what_a_killed_primary_sent() {
    let lost = lost_by_a_kill(None).await;
    assert!(lost.missing <= 2, "{lost:?}");
}

#[derive(Debug)]
#[expect(dead_code, reason = "shown when an assertion fails")]
struct Lost {
    written: i64,
    missing: i64,
    dropped: u64,
}

/// Writes for a while, kills the primary, and counts on its successor.
async fn lost_by_a_kill(delay: Option<Duration>) -> Lost {
    let cluster = stage().await;
    let (primary, replicas) = shard(&cluster, slot_of_key(KEY)).await;
    for replica in &replicas {
        let state = delay.map_or(LinkState::CLEAR, LinkState::delayed);
        cluster.links().set(end(primary), end(*replica), LinkKind::Replication, state);
    }
    let written = write_for(&cluster, primary, DELAY * 3).await;

    cluster.kill(primary).await.expect("killed");

    let promoted = |view: &chaos_cluster::View| {
        view.primary_of_slot(slot_of_key(KEY)).is_some_and(|new| new != primary && view.node(new).is_some())
    };
    let view = cluster.wait_for("a promotion", PATIENCE, promoted).await.expect("a promotion");
    let new = view.primary_of_slot(slot_of_key(KEY)).expect("an owner");
    let kept = cluster.ask(new, &["XLEN", KEY]).await.expect("an answer").integer().expect("a number");
    let carried =
        replicas.iter().map(|replica| cluster.links().carried(end(primary), end(*replica), LinkKind::Replication));
    let lost = Lost { written, missing: written - kept, dropped: carried.map(|link| link.dropped).sum() };
    eprintln!("delay {delay:?}: {lost:?}");
    lost
}

async fn write_for(cluster: &Cluster, primary: Server, span: Duration) -> i64 {
    let (began, mut written) = (Instant::now(), 0);
    while began.elapsed() < span {
        let answer = cluster.ask(primary, &["XADD", KEY, "*", "n", &written.to_string()]).await.expect("an answer");
        assert!(answer.text().is_some(), "{answer:?}");
        written += 1;
    }
    written
}

#[tokio::test]
async fn a_delayed_link_delivers_late_and_a_healed_one_at_once() {
    let cluster = stage().await;
    let (primary, replicas) = shard(&cluster, slot_of_key(KEY)).await;
    let links = cluster.links();
    links.set(end(primary), end(replicas[0]), LinkKind::Replication, LinkState::delayed(DELAY));
    let before = links.carried(end(primary), end(replicas[0]), LinkKind::Replication);

    let late = replicated_after(&cluster, primary, replicas[0], "1").await;
    let prompt = replicated_after(&cluster, primary, replicas[1], "2").await;

    assert!(late >= DELAY && late < DELAY * 3, "after {late:?}");
    assert!(prompt < DELAY, "the other replica got it after {prompt:?}");
    let after = links.carried(end(primary), end(replicas[0]), LinkKind::Replication);
    assert!(after.delayed > before.delayed, "{before:?} {after:?}");
    links.clear();
    let healed = replicated_after(&cluster, primary, replicas[0], "3").await;
    assert!(healed < DELAY, "after {healed:?}");
}

/// From a write on the primary until the replica has it.
async fn replicated_after(cluster: &Cluster, primary: Server, replica: Server, value: &str) -> Duration {
    // Before it is written: the link has it before we have the answer.
    let written = Instant::now();
    cluster.ask(primary, &["SET", "{log}delay", value]).await.expect("an answer");
    let offset = cluster.view().await.node(primary).expect("it answers").offset;
    let arrived = |view: &chaos_cluster::View| view.node(replica).is_some_and(|node| node.offset >= offset);
    cluster.wait_for("the write on the replica", PATIENCE, arrived).await.expect("replicated");
    written.elapsed()
}

fn end(server: Server) -> LinkEnd {
    LinkEnd::Redis(server.number())
}
