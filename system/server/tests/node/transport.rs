//! What the transport refuses, and what a bad client does to others: nothing.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Client, Packet};
use crate::inflating::{CLOSE, Inflating, PONG, TEXT};
use crate::server::{PATIENCE, Server};

const HANDSHAKE: &str = "/socket.io/?EIO=4&transport=websocket";

#[tokio::test]
async fn only_websocket_and_only_our_version() {
    let server = Server::open(&[]).await;
    for (query, body) in [
        ("?EIO=4&transport=polling", r#"{"code":0,"message":"Transport unknown"}"#),
        ("", r#"{"code":0,"message":"Transport unknown"}"#),
        ("?EIO=3&transport=websocket", r#"{"code":5,"message":"Unsupported protocol version"}"#),
        ("?EIO=4&transport=websocket&sid=abc", r#"{"code":1,"message":"Session ID unknown"}"#),
        ("?EIO=4&transport=websocket", r#"{"code":3,"message":"Bad request"}"#),
    ] {
        let answer = server.get(&format!("/socket.io/{query}")).await;
        assert_eq!((answer.status, answer.body.as_str()), (400, body), "{query}");
        assert!(answer.head.contains("application/json"));
    }
    for key in [
        "",
        "x",
        "AAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAA=",
        "AAAAAAAAAAAAAAAAAAAA-_==",
        "AAAAAAAAAAAAAAAAAAAAAAAA==",
    ] {
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ";
        let head = head(&server, HANDSHAKE, &format!("{upgrade}{key}\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{key:?}: {head}");
    }
    let posted = server.request("POST", "/socket.io/?EIO=4&transport=websocket", "Content-Length: 0\r\n").await;
    assert_eq!((posted.status, posted.body.as_str()), (400, r#"{"code":2,"message":"Bad handshake method"}"#));
}

/// RFC 6455, sections 4.2.1 and 11.3.
#[tokio::test]
async fn a_handshake_is_of_http_1_1_and_says_everything_once() {
    let server = Server::open(&[]).await;
    let (version, key) = ("Sec-WebSocket-Version: 13\r\n", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n");
    let good = format!("Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n{version}{key}");
    let origin = "Origin: http://n\r\n";
    for (http, headers, status) in [
        ("1.1", good.clone(), 101),
        ("1.0", good.clone(), 400),
        ("1.1", format!("{good}{key}"), 400),
        ("1.1", format!("{good}{version}"), 400),
        ("1.1", format!("{good}{origin}"), 101),
        ("1.1", format!("{good}{origin}Origin: http://evil.example\r\n"), 403),
        ("1.1", format!("{good}Origin: http://evil.example\r\n{origin}"), 403),
    ] {
        let head = head_of(&server, &format!("GET {HANDSHAKE} HTTP/{http}\r\nHost: n\r\n{headers}\r\n")).await;
        assert_eq!(head.split(' ').nth(1), Some(status.to_string().as_str()), "{http} {headers}: {head}");
    }
}

async fn head(server: &Server, path: &str, headers: &str) -> String {
    head_of(server, &format!("GET {path} HTTP/1.1\r\nHost: n\r\n{headers}\r\n")).await
}

/// That of an answer, after which the connection may go on.
async fn head_of(server: &Server, request: &str) -> String {
    let mut stream = server.stream().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("an answer").unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Whoever sends one gets it neither back nor believed.
#[tokio::test]
async fn no_cookie_is_set_or_looked_at() {
    let server = Server::open(&[]).await;
    let upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    for (path, headers, status) in [
        ("/", "", 200),
        ("/health", "", 200),
        ("/nothing-here", "", 404),
        ("/socket.io/?EIO=4&transport=polling", "", 400),
        (HANDSHAKE, "", 400),
        (HANDSHAKE, upgrade, 101),
    ] {
        for cookie in ["", "Cookie: io=x; token=ann\r\n"] {
            let connection = if status == 101 { "Connection: Upgrade\r\n" } else { "" };
            let head = head(&server, path, &format!("{connection}{headers}{cookie}")).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {cookie}: {head}");
            assert!(!head.to_lowercase().contains("cookie"), "{path} {cookie}: {head}");
        }
    }
}

#[tokio::test]
async fn an_oversized_payload_closes_its_connection_and_no_other() {
    let server = Server::open(&[]).await;
    let (mut ann, mut bob) = (Client::join(&server, "ann").await, Client::join(&server, "bob").await);
    let refused = ann.call("chat-message", json!({ "content": "x".repeat(900_000) })).await;
    assert_eq!(refused["error"]["code"], "invalid_payload", "large, and still a payload");
    ann.write(format!("42[\"chat-message\",{{\"content\":\"{}\"}}]", "x".repeat(1_000_001))).await;
    ann.closed().await;
    assert_eq!(ann.farewell, Some(1009));
    // In fragments, none of which is too large, and without an end.
    let mut carl = Client::join(&server, "carl").await;
    let mut fragments = 0;
    while carl.fragment(fragments == 0, &"x".repeat(100_000)).await.is_ok() {
        fragments += 1;
        assert!(fragments < 1000, "never closed");
    }
    carl.closed().await;
    assert_eq!(carl.farewell, Some(1009));
    assert!(bob.call("chat-message", json!({ "content": "here" })).await["error"].is_null());
    assert_eq!(server.get("/health").await.status, 200);
}

/// Whether or not compression was agreed on, and what came before it counts.
#[tokio::test]
async fn a_frame_that_breaks_the_protocol_is_told_with_its_status() {
    let server = Server::open(&["--rate-limit", "1000"]).await;
    let half = "x".repeat(500_001);
    for offer in ["", "permessage-deflate"] {
        let wrong = [
            // Reserved bits, an opcode that nobody defined, a continuation of nothing.
            (1002, vec![(0xa1, "3")]),
            (1002, vec![(0xc9, "")]),
            (1002, vec![(0x83, "3")]),
            (1002, vec![(0x80, "3")]),
            // A message within another; a control frame in pieces, and one that is too long.
            (1002, vec![(0x01, "4"), (0x81, "3")]),
            (1002, vec![(0x09, "")]),
            (1002, vec![(0x89, &half[..126])]),
            (1009, vec![(0x01, &half[..]), (0x89, "between"), (0x80, &half[..])]),
        ];
        for (nth, (status, frames)) in wrong.into_iter().enumerate() {
            let (mut ann, _) = Inflating::join(&server, offer, &json!({ "token": "ann" })).await;
            for (first, payload) in frames {
                ann.write(first, payload.as_bytes()).await;
            }
            assert_eq!(farewell(&mut ann).await, status, "the {nth}th, {offer:?}");
        }
        let (mut ann, _) = Inflating::join(&server, offer, &json!({ "token": "ann" })).await;
        // A ping, and then a frame without a mask.
        ann.write_bytes(b"\x89\x84\0\0\0\0ping\x81\x013").await;
        let pong = loop {
            let frame = ann.frame().await.expect("an answer to what came before");
            if frame.opcode != TEXT {
                break frame;
            }
        };
        assert_eq!((pong.opcode, &pong.content[..]), (PONG, &b"ping"[..]));
        assert_eq!(farewell(&mut ann).await, 1002);
    }
}

/// The status of the Close frame behind whatever else is said, and nothing comes after it.
async fn farewell(client: &mut Inflating) -> u16 {
    loop {
        let frame = client.frame().await.expect("a word of farewell");
        if frame.opcode == CLOSE {
            assert!(client.frame().await.is_none(), "something follows it");
            return u16::from_be_bytes(frame.content[..2].try_into().expect("a status"));
        }
    }
}

#[tokio::test]
async fn nonsense_closes_its_connection_and_no_other() {
    let server = Server::open(&[]).await;
    let mut bob = Client::join(&server, "bob").await;
    for nonsense in ["9", "4", "49", "42", "42[", "42{}", "51-[\"chat-message\",{\"_placeholder\":true}]", "\u{1f980}"]
    {
        let mut ann = Client::join(&server, "ann").await;
        ann.write(nonsense.to_owned()).await;
        ann.write("42[\"chat-message\",{\"content\":\"x\"}]".to_owned()).await;
        // Either way it ends: closed, or the nonsense was ignored and the message went through.
        ann.take(|packet| matches!(packet, Packet::Closed | Packet::Event(..))).await;
    }
    assert!(bob.call("chat-message", json!({ "content": "here" })).await["error"].is_null());
}

/// The kernel's buffers take megabytes before the node notices, hence the amount.
#[tokio::test]
async fn a_slow_consumer_is_closed_and_misses_nothing_when_it_resumes() {
    a_slow_consumer_loses_nothing(&Server::open(&SLOW).await).await;
}

pub(crate) const SLOW: [&str; 4] = ["--rate-limit", "1000000", "--send-buffer", "700000"];

pub(crate) async fn a_slow_consumer_loses_nothing(server: &Server) {
    let mut slow = Client::dial_narrow(server).await;
    slow.connect(&json!({ "token": "slow" })).await;
    let start = slow.event("joined").await;
    let mut ann = Client::join(server, "ann").await;
    let filling = "\u{20ac}".repeat(990);
    let mut sent = 0;
    while server.metric("chat_slow_consumers_total").await < 1.0 {
        for _ in 0..100 {
            sent += 1;
            ann.call("chat-message", json!({ "content": format!("{sent}:{filling}") })).await;
        }
        ann.inbox.clear();
        assert!(sent < 20_000, "never noticed");
    }
    let number = |content: &str| content.split(':').next().unwrap().parse::<u32>().unwrap();
    slow.closed().await;
    let message = |packet: &Packet| match packet {
        Packet::Event(name, payload) if name == "chat-message" => Some(payload.clone()),
        _ => None,
    };
    let received: Vec<_> = slow.inbox.iter().filter_map(message).collect();
    let numbers: Vec<_> = received.iter().map(|m| number(m["content"].as_str().unwrap())).collect();
    assert_eq!(numbers, (1..=received.len() as u32).collect::<Vec<_>>(), "a prefix, without a hole");
    let offset = received.last().map_or(&start["offset"], |message| &message["offset"]);
    let mut last = received.len() as u32;
    let (mut back, joined) = Client::join_with(server, json!({ "token": "slow", "offset": offset })).await;
    assert_eq!(joined["recovered"], true);
    for content in back.contents((sent - last) as usize).await {
        assert_eq!(number(&content), last + 1);
        last += 1;
    }
    assert_eq!(last, sent);
}

#[tokio::test]
async fn a_peer_that_stops_answering_pings_is_closed() {
    let server = Server::open(&["--ping-interval", "100ms", "--ping-timeout", "2s"]).await;
    let client = Client::join(&server, "ann").await;
    assert!((server.metric("chat_connections_total").await - 1.0).abs() < 0.5);
    server.metric_once("chat_connections", |connections| connections < 0.5).await;
    drop(client);
}
