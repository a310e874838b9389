//! A killed, a hung and a terminated primary are replaced, within the time that the engine's formula gives.

use std::time::{Duration, Instant};

use chaos_cluster::{Changed, Cluster, Engine, ProcessState, Role, Server, Watcher};
use tokio::time::timeout;

use crate::stage::{PATIENCE, shard, stage, topology};

const SLOT: u16 = 100;

#[tokio::test]
async fn a_killed_primary_is_replaced_within_the_derived_budget() {
    let cluster = stage().await;
    let (primary, replicas) = shard(&cluster, SLOT).await;
    let watcher = cluster.watch(Duration::from_millis(20));

    let killed = Instant::now();
    cluster.kill(primary).await.expect("killed");

    assert_eq!(cluster.state(primary), ProcessState::Ended);
    let (new, took, elections) = promotion(watcher, primary, killed).await;
    assert!(replicas.contains(&new), "{new} is none of {replicas:?}");
    holds_the_budget(&cluster, took, elections);
}

#[tokio::test]
async fn a_hung_primary_is_replaced_and_wakes_as_a_replica() {
    let cluster = stage().await;
    let (primary, _) = shard(&cluster, SLOT).await;
    let watcher = cluster.watch(Duration::from_millis(20));

    let paused = Instant::now();
    cluster.pause(primary).await.expect("paused");
    assert_eq!(cluster.state(primary), ProcessState::Paused);
    let (new, took, elections) = promotion(watcher, primary, paused).await;
    holds_the_budget(&cluster, took, elections);

    cluster.resume(primary).await.expect("resumed");
    assert_eq!(cluster.state(primary), ProcessState::Running);
    let view = cluster.wait_until_level(PATIENCE).await.expect("level");
    assert_eq!(view.primary_of_slot(SLOT), Some(new));
    assert_eq!(view.node(primary).expect("it answers").role, Role::Replica { of: Some(new) });
}

#[tokio::test]
async fn a_terminated_node_ends_by_itself() {
    let cluster = stage().await;
    let replica = Server::Redis(9);
    cluster.terminate(replica, PATIENCE).await.expect("terminated");
    assert!(cluster.log_tail(replica, 3).contains("ready to exit"), "{}", cluster.log_tail(replica, 3));
    cluster.start_again(replica).await.expect("started");
    cluster.wait_until_level(PATIENCE).await.expect("level");
}

#[tokio::test]
async fn a_watcher_tells_silence_and_return() {
    let cluster = stage().await;
    let mut watcher = cluster.watch(Duration::from_millis(20));
    let replica = Server::Redis(4);
    told(&mut watcher, |server, what| server == replica && matches!(what, Changed::Role { .. })).await;
    cluster.pause(replica).await.expect("paused");
    told(&mut watcher, |server, what| server == replica && matches!(what, Changed::Silent(_))).await;
    cluster.resume(replica).await.expect("resumed");
    told(&mut watcher, |server, what| server == replica && *what == Changed::Answers).await;
}

#[tokio::test]
async fn a_wait_that_is_in_vain_shows_what_it_saw_last() {
    let cluster = stage().await;
    cluster.kill(Server::Redis(7)).await.expect("killed");
    let waited = cluster.wait_for("peace on earth", Duration::from_millis(50), |_| false).await;
    let error = waited.expect_err("in vain").to_string();
    // On a busy machine a look may find it without its majority.
    let seen = error.strip_prefix("peace on earth did not come true within 50ms: redis-1 primary ").unwrap_or_default();
    assert!(seen.starts_with("(epoch 1)") || seen.starts_with("(epoch 1, not ok)"), "{error}");
    assert!(error.contains("redis-7 silent") && error.contains("redis-7.log:\n  "), "{error}");
}

#[tokio::test]
async fn the_busiest_primary_is_the_one_that_wrote_most_since_it_was_asked() {
    let cluster = stage().await;
    let (quiet, _) = shard(&cluster, chaos_cluster::slot_of_key("foo")).await;
    let (busy, _) = shard(&cluster, chaos_cluster::slot_of_key("bar")).await;
    assert_ne!(quiet, busy);
    write(&cluster, quiet, "foo", 30).await;
    assert_eq!(cluster.busiest_primary().await.expect("one"), quiet);
    write(&cluster, busy, "bar", 10).await;
    assert_eq!(cluster.busiest_primary().await.expect("one"), busy, "what was before counts no more");
}

async fn write(cluster: &Cluster, primary: Server, key: &str, times: u32) {
    for _ in 0..times {
        let answer = cluster.ask(primary, &["SET", key, "1"]).await.expect("an answer");
        assert_eq!(answer.text(), Some("OK"));
    }
}

/// Who was promoted in the place of `lost`, how long after `since`, and how many elections it took.
async fn promotion(mut watcher: Watcher, lost: Server, since: Instant) -> (Server, Duration, u32) {
    let mut elections = 0;
    let watching = async {
        while let Some(change) = watcher.changes.recv().await {
            match change.what {
                Changed::Epoch { from, to } => elections += (to - from) as u32,
                // All primaries are told of when the watching begins, too; what struck it may have been slower than that.
                Changed::Role { role: Role::Primary, slots, .. }
                    if change.at > since && change.server != lost && slots.contains(&(0, 5460)) =>
                {
                    return (change.server, change.at - since);
                }
                _ => {}
            }
        }
        panic!("the watching ended");
    };
    let (new, took) = timeout(PATIENCE, watching).await.expect("a promotion");
    (new, took, elections.max(1))
}

fn holds_the_budget(cluster: &Cluster, took: Duration, elections: u32) {
    let redis = topology().redis;
    let budget = cluster.engine().promotion_budget(redis.node_timeout, redis.replicas_per_shard);
    let failed = Engine::failed_election(redis.node_timeout) * (elections - 1);
    eprintln!("promoted after {took:?} ({elections} elections); {} to {:?}", budget.formula, budget.latest + failed);
    assert!(budget.earliest <= took && took <= budget.latest + failed, "{took:?} is outside of {budget:?}");
}

async fn told(watcher: &mut Watcher, is_it: impl Fn(Server, &Changed) -> bool) {
    let told = async {
        while let Some(change) = watcher.changes.recv().await {
            if is_it(change.server, &change.what) {
                return;
            }
        }
        panic!("the watching ended");
    };
    timeout(PATIENCE, told).await.expect("to be told");
}
