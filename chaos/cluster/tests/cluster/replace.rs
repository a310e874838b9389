//! A killed node is started again only when that is safe.

use std::time::Duration;

use chaos_cluster::{ProcessState, Replaced, Role, Server};

use crate::stage::{PATIENCE, shard, stage};

const SLOT: u16 = 5061;
/// In that slot.
const KEY: &str = "bar";

#[tokio::test]
async fn a_killed_primary_waits_until_a_survivor_names_another() {
    let cluster = stage().await;
    let (primary, _) = shard(&cluster, SLOT).await;
    cluster.kill(primary).await.expect("killed");
    let short = cluster.restart_when_replaced(primary, Duration::from_millis(300)).await;
    let error = short.expect_err("nobody is promoted so soon").to_string();
    assert!(error.contains(&format!("{primary} is still named for slots [(0, 5460)]")), "{error}");
    assert_eq!(cluster.state(primary), ProcessState::Ended, "it was started all the same");

    let replaced = cluster.restart_when_replaced(primary, PATIENCE).await.expect("replaced");

    let view = cluster.wait_until_level(PATIENCE).await.expect("level");
    let new = view.primary_of_slot(SLOT).expect("an owner");
    assert_eq!(replaced, Replaced::By(new));
    assert_eq!(view.node(primary).expect("it answers").role, Role::Replica { of: Some(new) });
}

/// As on a busy machine: a look gives up after 0.3 s.
#[tokio::test]
async fn whoever_answers_late_is_not_dead() {
    for slow in [&[4, 5][..], &[2, 3], &[2, 3, 4, 5, 6, 7, 8, 9]] {
        let cluster = stage().await;
        let (primary, _) = shard(&cluster, 0).await;
        cluster.kill(primary).await.expect("killed");
        for server in slow.iter().copied().map(Server::Redis) {
            cluster.ask(server, &["CLIENT", "PAUSE", "600"]).await.expect("an answer");
        }
        let replaced = cluster.restart_when_replaced(primary, PATIENCE).await.expect("replaced");
        assert!(matches!(replaced, Replaced::By(Server::Redis(4 | 5))), "{replaced:?} while {slow:?} were slow");
        cluster.wait_until_level(PATIENCE).await.expect("level");
    }
}

#[tokio::test]
async fn a_killed_replica_is_started_at_once() {
    let cluster = stage().await;
    let (_, replicas) = shard(&cluster, SLOT).await;
    cluster.kill(replicas[0]).await.expect("killed");
    let replaced = cluster.restart_when_replaced(replicas[0], PATIENCE).await.expect("started");
    assert_eq!(replaced, Replaced::OwnedNothing);
    cluster.wait_until_level(PATIENCE).await.expect("level");
}

#[tokio::test]
async fn without_a_majority_the_replica_with_most_data_takes_over() {
    let cluster = stage().await;
    let dead = [Server::Redis(1), Server::Redis(2)];
    for primary in dead {
        cluster.kill(primary).await.expect("killed");
    }
    let replaced = cluster.restart_when_replaced(dead[0], PATIENCE).await.expect("taken over");
    assert!(matches!(replaced, Replaced::TakenOver(Server::Redis(4 | 5))), "{replaced:?}");
    cluster.restart_when_replaced(dead[1], PATIENCE).await.expect("replaced");
    let view = cluster.wait_until_level(PATIENCE).await.expect("level");
    for primary in dead {
        assert!(view.slots_of(primary).is_empty(), "{primary} is still a primary");
    }
}

#[tokio::test]
async fn a_shard_without_a_live_replica_gets_its_own_data_back() {
    let cluster = stage().await;
    let (primary, replicas) = shard(&cluster, SLOT).await;
    assert_eq!(cluster.ask(primary, &["SET", KEY, "kept"]).await.expect("an answer").text(), Some("OK"));
    for server in replicas.iter().chain([&primary]) {
        cluster.kill(*server).await.expect("killed");
    }
    let replaced = cluster.restart_when_replaced(primary, PATIENCE).await.expect("started");
    assert_eq!(replaced, Replaced::NobodyLeft);
    for replica in replicas {
        cluster.restart_when_replaced(replica, PATIENCE).await.expect("started");
    }
    cluster.wait_until_level(PATIENCE).await.expect("level");
    let kept = cluster.ask(primary, &["GET", KEY]).await.expect("an answer");
    assert_eq!(kept.text(), Some("kept"), "its append-only file was not read");
}
