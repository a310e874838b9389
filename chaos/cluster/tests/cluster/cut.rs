//! A link is cut in one direction, and in one only.

use std::time::Duration;

use chaos_cluster::{Cluster, LinkEnd, LinkKind, LinkState, Role, Server};

use crate::stage::{PATIENCE, shard, stage};

const SLOT: u16 = 5061;
/// In that slot.
const KEY: &str = "bar";

#[tokio::test]
async fn a_primary_whose_voice_is_cut_is_replaced_and_comes_back_as_a_replica() {
    let cluster = stage().await;
    let (primary, _) = shard(&cluster, SLOT).await;
    for other in others(&cluster, primary) {
        cluster.links().set(end(primary), end(other), LinkKind::Bus, LinkState::CUT);
    }

    let replaced = |view: &chaos_cluster::View| view.primary_of_slot(SLOT).is_some_and(|new| new != primary);
    let view = cluster.wait_for("a promotion", PATIENCE, replaced).await.expect("a promotion");
    let new = view.primary_of_slot(SLOT).expect("an owner");
    let withheld = cluster.links().carried(end(primary), end(new), LinkKind::Bus);
    assert!(withheld.withheld > 0, "{withheld:?}");

    cluster.links().clear();
    let view = cluster.wait_until_level(PATIENCE).await.expect("level");
    assert_eq!(view.node(primary).expect("it answers").role, Role::Replica { of: Some(new) });
}

#[tokio::test]
async fn one_direction_is_cut_and_the_other_is_not() {
    let cluster = stage().await;
    let (primary, replicas) = shard(&cluster, SLOT).await;
    let acked = |view: &chaos_cluster::View| view.node(primary).and_then(|node| node.online.get(&replicas[0]).copied());
    cluster.links().set(end(replicas[0]), end(primary), LinkKind::Replication, LinkState::CUT);
    let before = acked(&cluster.view().await).expect("attached");

    let offset = write(&cluster, primary).await;

    let has_it = |view: &chaos_cluster::View| view.node(replicas[0]).is_some_and(|node| node.offset >= offset);
    let view = cluster.wait_for("the write on the replica", PATIENCE, has_it).await.expect("there the link is whole");
    assert_eq!(acked(&view), Some(before), "the cut direction delivered");
    cluster.links().clear();
    let hears = |view: &chaos_cluster::View| acked(view).is_some_and(|acked| acked >= offset);
    cluster.wait_for("the acknowledgement", PATIENCE, hears).await.expect("what was held");
}

#[tokio::test]
async fn a_cut_link_holds_what_is_sent_and_delivers_it_when_healed() {
    let cluster = stage().await;
    let (primary, replicas) = shard(&cluster, SLOT).await;
    let (from, to) = (end(primary), end(replicas[0]));
    cluster.links().set(from, to, LinkKind::Replication, LinkState::CUT);
    let offset = write(&cluster, primary).await;

    let other_has_it = |view: &chaos_cluster::View| view.node(replicas[1]).is_some_and(|node| node.offset >= offset);
    let view = cluster.wait_for("the other replica", PATIENCE, other_has_it).await.expect("level");
    assert!(view.node(replicas[0]).expect("it answers").offset < offset, "the cut link delivered");
    let carried = cluster.links().carried(from, to, LinkKind::Replication);
    assert!(carried.withheld > 0 && carried.held > 0 && carried.dropped == 0, "{carried:?}");

    cluster.links().clear();
    let has_it = |view: &chaos_cluster::View| view.node(replicas[0]).is_some_and(|node| node.offset >= offset);
    cluster.wait_for("what was held", PATIENCE, has_it).await.expect("delivered");
    let carried = cluster.links().carried(from, to, LinkKind::Replication);
    assert_eq!((carried.held, carried.dropped), (0, 0));
}

#[tokio::test]
async fn clients_are_cut_apart_from_nodes() {
    let cluster = stage().await;
    let (primary, _) = shard(&cluster, SLOT).await;
    cluster.links().set(end(primary), LinkEnd::Clients, LinkKind::Client, LinkState::CUT);
    let ping = async {
        let mut stream = tokio::net::TcpStream::connect(cluster.address(primary)).await.expect("it listens");
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"PING\r\n").await.expect("sent");
        let mut answer = [0; 7];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer).await.expect("an answer");
        answer
    };
    tokio::pin!(ping);
    let early = tokio::time::timeout(Duration::from_millis(200), &mut ping).await;
    assert!(early.is_err(), "the cut link answered");
    assert_eq!(cluster.view().await.unlevel(), None, "nodes suffer from a cut of clients");
    cluster.links().clear();
    assert_eq!(&tokio::time::timeout(PATIENCE, ping).await.expect("an answer"), b"+PONG\r\n");
}

/// The primary's offset behind the write.
async fn write(cluster: &Cluster, primary: Server) -> u64 {
    let answer = cluster.ask(primary, &["SET", KEY, "1"]).await.expect("an answer");
    assert_eq!(answer.text(), Some("OK"));
    cluster.view().await.node(primary).expect("it answers").offset
}

fn others(cluster: &Cluster, server: Server) -> Vec<Server> {
    cluster.servers().into_iter().filter(|other| *other != server).collect()
}

fn end(server: Server) -> LinkEnd {
    LinkEnd::Redis(server.number())
}
