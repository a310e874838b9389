//! From nothing to a level cluster, and what is said when that fails.

use std::time::Instant;

use chaos_cluster::{Cluster, LinkEnd, LinkKind, Role, Server};

use crate::stage::{options, stage, topology};

#[tokio::test]
async fn a_cluster_boots_level_through_the_fault_proxy() {
    let started = Instant::now();
    let cluster = Cluster::start(topology(), options()).await.expect("a cluster");
    eprintln!("boot of 3 × (1 + 2) on {}: {:?}", cluster.engine(), started.elapsed());

    let view = cluster.view().await;
    assert_eq!(view.unlevel(), None);
    assert_eq!(view.primaries(), [1, 2, 3].map(Server::Redis));
    for (primary, replicas) in [(1, [4, 5]), (2, [6, 7]), (3, [8, 9])] {
        assert_eq!(view.replicas_of(Server::Redis(primary)), replicas.map(Server::Redis));
    }
    let bus = cluster.links().carried(LinkEnd::Redis(1), LinkEnd::Redis(9), LinkKind::Bus);
    let replication = cluster.links().carried(LinkEnd::Redis(1), LinkEnd::Redis(4), LinkKind::Replication);
    assert!(bus.passed > 0 && replication.passed > 0, "not through the proxy: {bus:?} {replication:?}");
    cluster.shutdown().await.expect("a clean end");
}

#[tokio::test]
async fn warm_servers_are_formed_again_as_if_they_were_new() {
    let cluster = stage().await;
    cluster.ask(cluster.primary_of_slot(12182).await.expect("an owner"), &["SET", "foo", "1"]).await.expect("written");
    cluster.kill(Server::Redis(2)).await.expect("killed");
    cluster.pause(Server::Redis(5)).await.expect("paused");
    let started = Instant::now();
    cluster.reform(topology()).await.expect("a warm cluster");
    eprintln!("re-formed, one killed and one paused: {:?}", started.elapsed());
    let started = Instant::now();
    cluster.reform(topology()).await.expect("a warm cluster");
    eprintln!("re-formed warm: {:?}", started.elapsed());

    let view = cluster.view().await;
    assert_eq!(view.unlevel(), None);
    for (server, node) in view.answered() {
        let number = server.number();
        assert_eq!(node.role == Role::Primary, number <= 3, "{server} is a {}", node.role);
        let size = cluster.ask(server, &["DBSIZE"]).await.expect("an answer");
        assert_eq!(size.integer(), Some(0), "{server} kept data");
    }
}

#[tokio::test]
async fn two_clusters_run_side_by_side() {
    let shared = stage().await;
    let (mut small, options) = (topology(), options());
    (small.redis.shards, small.redis.replicas_per_shard) = (1, 1);
    let other = Cluster::start(small, options).await.expect("a second cluster");
    for server in other.servers() {
        let alien = shared.servers().into_iter().any(|own| shared.address(own).ip() == other.address(server).ip());
        assert!(!alien, "{server} has an address of the other cluster");
    }
    assert_eq!(shared.view().await.unlevel(), None);
}

#[tokio::test]
async fn a_program_that_ends_at_once_is_told_with_the_end_of_its_log() {
    let mut options = options();
    let place = tempfile::tempdir().expect("a folder");
    options.temp = Some(place.path().to_owned());
    let mut broken = topology();
    broken.redis.settings.insert("no-such-directive".to_owned(), "yes".to_owned());
    let error = Cluster::start(broken, options).await.expect_err("no server takes that").to_string();
    assert!(error.starts_with("redis-1 did not start: ") && error.contains(" ended with exit code 1"), "{error}");
    assert!(error.contains("no-such-directive"), "the log's end is missing: {error}");
    assert_eq!(std::fs::read_dir(place.path()).expect("a folder").count(), 0, "files were left");
}
