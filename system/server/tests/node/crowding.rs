//! Nobody takes all of a node: neither by many connections nor by joining or asking in vain over and over.

use std::time::Instant;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, Packet};
use crate::server::{PATIENCE, Server};

const UPGRADE: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: n\r\nConnection: Upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

/// The answer's status, and the connection.
async fn upgrade(server: &Server, forwarded: &str) -> (u16, TcpStream) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let forwarded = if forwarded.is_empty() { String::new() } else { format!("X-Forwarded-For: {forwarded}\r\n") };
    stream.write_all(format!("{UPGRADE}{forwarded}\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut answer)).await.expect("an answer");
        assert_ne!(read.unwrap(), 0, "no answer");
    }
    (String::from_utf8_lossy(&answer)[9..12].parse().unwrap(), stream)
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_other_pays_for_it() {
    let server = Server::open(&["--connections-per-address", "3", "--trusted-proxies", "127.0.0.1"]).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let (status, stream) = upgrade(&server, "9.9.9.9").await;
        assert_eq!(status, 101);
        held.push(stream);
    }
    assert_eq!(upgrade(&server, "9.9.9.9").await.0, 429);
    assert_eq!(upgrade(&server, "1.1.1.1, 9.9.9.9").await.0, 429, "what the client itself wrote is not believed");
    assert!((server.metric("chat_connections_crowded_total").await - 2.0).abs() < 0.5);
    let others = [upgrade(&server, "8.8.8.8").await.0, upgrade(&server, "").await.0];
    assert_eq!(others, [101, 101]);
    held.pop();
    server.metric_once("chat_connections", |connections| connections < 2.5).await;
    assert_eq!(upgrade(&server, "9.9.9.9").await.0, 101, "a place that was left is free again");
}

/// Each time with an offset from before everything, so that it would all be said again.
#[tokio::test]
async fn joins_have_a_limit_however_they_are_asked_for() {
    let server = Server::open(&["--rooms-per-socket", "5"]).await;
    let (mut ann, joined) = Client::join_with(&server, json!({ "token": "ann" })).await;
    let begin = &joined["offset"];
    let mut refused = json!(null);
    for n in 1.. {
        assert!(n <= 15, "nothing limits it");
        let answer = ann.call("join", json!({ "room": "r", "offset": begin })).await;
        if !answer["error"].is_null() {
            assert!(n >= 10, "the {n}th is refused: {answer}");
            refused = answer["error"].clone();
            break;
        }
        ann.call("leave", json!({ "room": "r" })).await;
    }
    assert_eq!(
        (&refused["code"], &refused["message"]),
        (&json!("rate_limited"), &json!("Rate limit exceeded: 1 joins/second"))
    );
    let wait = refused["retry_after_ms"].as_u64().unwrap();
    assert!((1..=1000).contains(&wait), "{wait}");

    // Nor by another session on the same connection.
    ann.write("41".to_owned()).await;
    ann.connect(&json!({ "token": "ann", "offset": begin })).await;
    match ann.take(|packet| matches!(packet, Packet::Connected | Packet::Refused(_))).await {
        Packet::Refused(error) => assert_eq!(error["data"]["code"], "rate_limited", "{error}"),
        other => panic!("{other:?}"),
    }
    // What the node said is waited for, and not a moment longer than it said.
    tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
    ann.connect(&json!({ "token": "ann", "offset": begin })).await;
    ann.take(|packet| *packet == Packet::Connected).await;
}

/// As stock clients do that were offline: what they were given meanwhile they send all at once.
#[tokio::test]
async fn who_sends_too_much_at_once_is_told_so_and_stays() {
    let server = Server::open(&[]).await;
    let mut ann = Client::join(&server, "ann").await;
    let (mut asked, mut taken, began) = (Vec::new(), 0, Instant::now());
    for n in 0..130 {
        asked.push(ann.ask("chat-message", &json!({ "content": n.to_string() })).await);
    }
    for id in asked {
        let answer = ann.ack(id).await;
        if answer["error"].is_null() {
            taken += 1;
        } else {
            assert_eq!(answer["error"]["code"], "rate_limited", "{answer}");
            assert!(answer["error"]["retry_after_ms"].as_u64().is_some(), "{answer}");
        }
    }
    // Ten, and ten more for each second that it took.
    let most = 10 + began.elapsed().as_millis() / 100;
    assert!((10..=most).contains(&taken), "{taken} of at most {most} are taken");
    assert!(ann.call("join", json!({ "room": "r" })).await["error"].is_null());
    assert!(server.metric("chat_connections_unruly_total").await < 0.5);
}

#[tokio::test]
async fn who_asks_only_in_vain_is_closed_and_nobody_else() {
    let server = Server::open(&[]).await;
    let mut bob = Client::join(&server, "bob").await;
    let mut ann = Client::join(&server, "ann").await;
    for n in 0..99 {
        assert_eq!(ann.call("leave", json!({ "room": "r" })).await["error"]["code"], "not_in_room", "the {n}th");
    }
    assert!(ann.call("chat-message", json!({ "content": "a good one" })).await["error"].is_null());
    // Whatever kind they are of.
    for _ in 0..50 {
        ann.try_write("42[\"leave\",{\"room\":\"r\"}]").await;
        ann.try_write("42[\"nothing\"]").await;
    }
    ann.closed().await;
    assert_eq!(ann.farewell, Some(1008));
    let refused = |packet: &&Packet| matches!(packet, Packet::Event(name, _) if name == "error");
    assert_eq!(ann.inbox.iter().filter(refused).count(), 199, "each was answered before");

    // Nor are tokens tried one after the other.
    let mut eve = Client::dial(&server).await;
    let mut tried = 0;
    while !eve.inbox.contains(&Packet::Closed) {
        tried += 1;
        // One that comes too soon after a refusal may go unread.
        assert!(tried <= 300, "still open");
        eve.try_write("40{\"token\":\"no name!\"}").await;
        eve.settle().await;
    }
    assert!((server.metric("chat_connections_unruly_total").await - 2.0).abs() < 0.5);
    assert!(bob.call("chat-message", json!({ "content": "here" })).await["error"].is_null());
}
