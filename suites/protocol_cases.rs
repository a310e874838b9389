//! What the official test suites of Engine.IO 4 and Socket.IO 5 ask of a server, asked of ours.
//!
//! Their servers echo what they are sent, speak long-polling and have a namespace `/custom`; ours is a chat over
//! WebSocket alone, so the same question is asked with the events that it has. Each of their cases:
//!
//! | case | here |
//! |---|---|
//! | Engine.IO: long-polling opens a session; payloads of one and several packets, text and binary; duplicate polls; heartbeat, its time-out and close over polling | cannot apply: a polling request is refused with `Transport unknown` (`what_is_no_websocket_is_refused_in_their_words`) |
//! | Engine.IO: upgrade from polling; requests and a second WebSocket with the same `sid` after it | cannot apply: no session ever begins with polling, `upgrades` is empty, a `sid` in the query is refused |
//! | Engine.IO: invalid `EIO`, `transport`, method | `what_is_no_websocket_is_refused_in_their_words` |
//! | Engine.IO: WebSocket opens a session | `a_session_opens_with_its_settings` |
//! | Engine.IO: plain text and binary packets come back | `a_packet_is_answered`; binary: next line |
//! | Socket.IO: binary attachments, with and without an ack | the contract has no binary payload: refused by name, the connection stays (`binary_attachments_are_refused_by_name`) |
//! | Engine.IO, Socket.IO: invalid packet format, packet type, payload, ack id; invalid handshake | `what_is_no_packet_ends_the_connection` |
//! | heartbeat: ping and pong; close upon ping time-out | `pings_are_sent_and_must_be_answered` |
//! | close: forcefully closes the session | `a_close_packet_ends_the_connection` |
//! | Socket.IO: connect to the main namespace, with and without a payload | `a_connect_is_answered_with_an_id` (without one nobody is let in: `unauthenticated`) |
//! | Socket.IO: a custom namespace, connect and disconnect | cannot apply: there is `/` only; every other is an unknown one |
//! | Socket.IO: an unknown namespace | `an_unknown_namespace_is_refused_and_the_connection_stays` |
//! | Socket.IO: close when no handshake comes | `who_never_connects_is_closed` |
//! | Socket.IO: disconnect from the main namespace | `a_client_that_leaves_the_namespace_keeps_its_transport` |
//! | Socket.IO: plain text packet, and with an ack | `a_packet_is_answered` |

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    chat_node::ChatNode,
    plain_socket::{PlainSocket, QUERY},
    wait::PATIENCE,
    warm::play,
};

const AUTH: &str = r#"{"token":"ann"}"#;

/// With a node of its own.
fn ask(flags: &[&str], question: impl AsyncFnOnce(String)) {
    play(async {
        let node = ChatNode::start(&[&["--auth", "none"], flags].concat());
        question(node.address().await.to_string()).await;
    });
}

/// What comes next that is no ping, at the latest when patience is over.
async fn next(socket: &mut PlainSocket) -> String {
    tokio::time::timeout(PATIENCE, socket.packet()).await.expect("a packet in time").expect("a connection that lasts")
}

/// Skips what comes before.
async fn next_of(socket: &mut PlainSocket, kind: &str) -> String {
    loop {
        let packet = next(socket).await;
        if packet.starts_with(kind) {
            return packet;
        }
    }
}

async fn in_the_room(address: &str) -> PlainSocket {
    let mut socket = PlainSocket::connected(address, AUTH).await.expect("ann is let in");
    next_of(&mut socket, r#"42["joined","#).await;
    socket
}

/// The connection lasts: a message is acked on it.
async fn still_there(socket: &mut PlainSocket) {
    socket.write(r#"42999["chat-message",{"content":"here"}]"#).await.expect("a connection that lasts");
    let answer = next_of(socket, "43999").await;
    assert!(answer.contains("\"offset\""), "{answer}");
}

#[test]
fn a_session_opens_with_its_settings() {
    ask(&["--ping-interval", "300ms", "--ping-timeout", "200ms"], async |address| {
        let mut socket = PlainSocket::open(&address).await.expect("a transport");
        let packet = next(&mut socket).await;
        let mut open: Value = serde_json::from_str(packet.strip_prefix('0').expect("an open packet")).expect("JSON");
        assert!(open["sid"].take().as_str().is_some_and(|sid| !sid.is_empty()));
        let settings = json!({ "sid": null, "upgrades": [], "pingInterval": 300, "pingTimeout": 200,
            "maxPayload": 1_000_000 });
        assert_eq!(open, settings);
    });
}

#[test]
fn what_is_no_websocket_is_refused_in_their_words() {
    ask(&[], async |address| {
        let polling = "EIO=4&transport=polling";
        for (method, query, upgrade, body) in [
            ("GET", polling, false, r#"{"code":0,"message":"Transport unknown"}"#),
            ("POST", polling, false, r#"{"code":0,"message":"Transport unknown"}"#),
            ("GET", "EIO=4", false, r#"{"code":0,"message":"Transport unknown"}"#),
            ("GET", "EIO=4&transport=abc", true, r#"{"code":0,"message":"Transport unknown"}"#),
            ("GET", "transport=websocket", true, r#"{"code":5,"message":"Unsupported protocol version"}"#),
            ("GET", "EIO=abc&transport=websocket", true, r#"{"code":5,"message":"Unsupported protocol version"}"#),
            ("PUT", QUERY, true, r#"{"code":2,"message":"Bad handshake method"}"#),
            ("GET", &format!("{QUERY}&sid=abc"), true, r#"{"code":1,"message":"Session ID unknown"}"#),
            ("GET", QUERY, false, r#"{"code":3,"message":"Bad request"}"#),
        ] {
            let headers = if upgrade {
                "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
                 AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            } else {
                "Connection: close\r\n"
            };
            let request =
                format!("{method} /socket.io/?{query} HTTP/1.1\r\nHost: n\r\nContent-Length: 0\r\n{headers}\r\n");
            let mut stream = TcpStream::connect(&address).await.expect("a node that listens");
            stream.write_all(request.as_bytes()).await.expect("a question");
            let (mut answer, mut part) = (String::new(), [0; 1024]);
            while !answer.ends_with('}') {
                let read = tokio::time::timeout(PATIENCE, stream.read(&mut part)).await.expect("in time");
                let read = read.expect("an answer");
                assert!(read > 0, "{method} {query}: {answer}");
                answer.push_str(std::str::from_utf8(&part[..read]).expect("text"));
            }
            assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with(body), "{method} {query}: {answer}");
        }
    });
}

#[test]
fn a_connect_is_answered_with_an_id() {
    ask(&[], async |address| {
        let mut socket = PlainSocket::open(&address).await.expect("a transport");
        socket.write("40").await.expect("a transport that lasts");
        let refused = next_of(&mut socket, "44").await;
        assert!(refused.contains(r#""code":"unauthenticated""#), "{refused}");
        // The transport stays, for another try. socketioxide passes over one that comes within microseconds.
        let answer = loop {
            socket.write(format!("40{AUTH}")).await.expect("a transport that lasts");
            if let Ok(packet) = tokio::time::timeout(Duration::from_secs(1), socket.packet()).await {
                break packet.expect("a transport that lasts");
            }
        };
        let answer: Value = serde_json::from_str(answer.strip_prefix("40").expect("an answer")).expect("JSON");
        let fields: Vec<_> = answer.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["sid"], "{answer}");
        assert!(answer["sid"].as_str().is_some_and(|sid| !sid.is_empty()));
        assert!(next(&mut socket).await.starts_with(r#"42["joined",{"room":"global","#));
    });
}

#[test]
fn an_unknown_namespace_is_refused_and_the_connection_stays() {
    ask(&[], async |address| {
        let mut fresh = PlainSocket::open(&address).await.expect("a transport");
        next(&mut fresh).await;
        for socket in [&mut fresh, &mut in_the_room(&address).await] {
            for (asked, namespace) in [("40/random,", "/random"), ("40/random", "/random"), ("40/a,{\"b\":1}", "/a")] {
                socket.write(asked).await.expect("a connection that lasts");
                let expected = format!(r#"44{namespace},{{"message":"Invalid namespace"}}"#);
                assert_eq!(next(socket).await, expected, "{asked}");
            }
        }
        fresh.write(format!("40{AUTH}")).await.expect("a transport that lasts");
        next_of(&mut fresh, r#"42["joined","#).await;
        still_there(&mut fresh).await;
    });
}

#[test]
fn who_never_connects_is_closed() {
    ask(&["--handshake-timeout", "1s"], async |address| {
        let mut socket = PlainSocket::open(&address).await.expect("a transport");
        assert!(socket.ends_within(PATIENCE).await);
    });
}

#[test]
fn a_client_that_leaves_the_namespace_keeps_its_transport() {
    ask(&["--ping-interval", "300ms"], async |address| {
        let mut ann = in_the_room(&address).await;
        let mut bob = in_the_room(&address).await;
        ann.write("41").await.expect("a connection that lasts");
        // Nothing answers that; what is asked next is answered when it is done.
        ann.write("40/random,").await.expect("a transport that lasts");
        next_of(&mut ann, "44/random,").await;
        let ping = tokio::time::timeout(PATIENCE, ann.any_packet()).await.expect("in time");
        assert_eq!(ping.expect("a transport that lasts"), "2");
        ann.write("3").await.expect("a transport that lasts");
        still_there(&mut bob).await;
        // And comes back on the same transport. Nothing of the room came in between.
        ann.write(format!("40{AUTH}")).await.expect("a transport that lasts");
        let connected = next(&mut ann).await;
        assert!(connected.starts_with("40{"), "{connected}");
        assert!(next(&mut ann).await.starts_with(r#"42["joined","#));
        still_there(&mut ann).await;
    });
}

#[test]
fn a_packet_is_answered() {
    ask(&[], async |address| {
        let mut socket = in_the_room(&address).await;
        socket.write(r#"42["chat-message",{"content":"plain"}]"#).await.expect("a connection that lasts");
        assert!(next(&mut socket).await.contains(r#""content":"plain""#), "no ack that nobody asked for");
        socket.write(r#"42456["join",{"room":"other"},"more",7]"#).await.expect("a connection that lasts");
        let answer = next(&mut socket).await;
        assert!(answer.starts_with(r#"43456[{"room":"other","#), "{answer}");
    });
}

#[test]
fn binary_attachments_are_refused_by_name() {
    ask(&[], async |address| {
        let mut socket = in_the_room(&address).await;
        let named = "Invalid message payload";
        for payload in [r#"{"_placeholder":true,"num":0}"#, r#"{"content":{"_placeholder":true,"num":0}}"#] {
            socket.write(format!(r#"451-789["chat-message",{payload}]"#)).await.expect("a connection that lasts");
            socket.write_binary(&[1, 2, 3]).await.expect("a connection that lasts");
            let answer = next_of(&mut socket, "43789").await;
            assert!(answer.contains(named) && answer.contains("invalid_payload"), "{answer}");
            let event = next(&mut socket).await;
            assert!(event.starts_with(r#"42["error","#) && event.contains(named), "{event}");
        }
        still_there(&mut socket).await;
    });
}

#[test]
fn what_is_no_packet_ends_the_connection() {
    ask(&[], async |address| {
        let mut bob = in_the_room(&address).await;
        for nonsense in ["abc", "4abc", "42{}", r#"42abc["chat-message",{"content":"x"}]"#] {
            let mut ann = in_the_room(&address).await;
            ann.write(nonsense).await.expect("a connection that lasts");
            assert!(ann.ends_within(PATIENCE).await, "{nonsense}");
        }
        let mut unknown = PlainSocket::open(&address).await.expect("a transport");
        unknown.write("4abc").await.expect("a transport that lasts");
        // Sooner than for want of a handshake.
        assert!(unknown.ends_within(Duration::from_secs(8)).await, "instead of a handshake");
        still_there(&mut bob).await;
    });
}

#[test]
fn a_close_packet_ends_the_connection() {
    ask(&[], async |address| {
        let mut socket = in_the_room(&address).await;
        socket.write("1").await.expect("a connection that lasts");
        assert!(socket.ends_within(PATIENCE).await);
    });
}

#[test]
fn pings_are_sent_and_must_be_answered() {
    // Long enough for a client that gets no core for a while.
    ask(&["--ping-interval", "300ms", "--ping-timeout", "2s"], async |address| {
        let mut socket = in_the_room(&address).await;
        for _ in 0..3 {
            let packet = tokio::time::timeout(PATIENCE, socket.any_packet()).await.expect("in time");
            assert_eq!(packet.expect("who answers is not closed"), "2");
            socket.write("3").await.expect("a connection that lasts");
        }
        let began = Instant::now();
        let ended = async { while socket.any_packet().await.is_ok_and(|packet| packet != "1") {} };
        tokio::time::timeout(PATIENCE, ended).await.expect("who never answers is closed");
        assert!(began.elapsed() >= Duration::from_secs(2), "not before its time-out: {:?}", began.elapsed());
    });
}
