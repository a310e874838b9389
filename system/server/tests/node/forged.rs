//! Who claims to be, to have or to have been what he is not gets nothing by it.

use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};

use crate::client::{Client, Packet};
use crate::server::Server;

const SECRET: &str = "a secret of at least thirty-two bytes";

/// What `room` brought into this inbox.
fn messages_of(client: &Client, room: &str) -> Vec<Value> {
    let of_room = |packet: &Packet| match packet {
        Packet::Event(name, payload) if name == "chat-message" && payload["room"] == room => Some(payload.clone()),
        _ => None,
    };
    client.inbox.iter().filter_map(of_room).collect()
}

#[tokio::test]
async fn nobody_is_heard_before_they_are_let_in() {
    let server = Server::open(&[]).await;
    let mut bob = Client::join(&server, "bob").await;
    for first in ["", "40", "40{\"token\":7}", "40/admin,{\"token\":\"eve\"}"] {
        let mut eve = Client::dial(&server).await;
        if !first.is_empty() {
            eve.write(first.to_owned()).await;
        }
        for packet in
            ["421[\"chat-message\",{\"content\":\"from eve\"}]", "422[\"join\",{\"room\":\"global\"}]", "2probe"]
        {
            // The node may have closed the connection.
            eve.try_write(packet).await;
        }
        eve.settle().await;
        let heard = |packet: &Packet| matches!(packet, Packet::Ack(..) | Packet::Event(..) | Packet::Connected);
        assert!(!eve.inbox.iter().any(heard), "{first:?}: {:?}", eve.inbox);
    }
    bob.call("chat-message", json!({ "content": "from bob" })).await;
    assert_eq!(bob.contents(1).await, ["from bob"]);
    assert!((server.metric("chat_messages_accepted_total").await - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn another_rooms_messages_are_for_its_members() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SECRET).unwrap();
    let server = Server::start(&["--jwt-secret-file", file.path().to_str().unwrap()]).await;
    let token = |sub: &str, room: &str| {
        let claims = json!({ "sub": sub, "rooms": ["lobby", room], "exp": get_current_timestamp() + 60 });
        encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
    };
    let auth = |sub: &str, room: &str| json!({ "token": token(sub, room), "room": room });
    let (mut ann, joined) = Client::join_with(&server, auth("ann", "board")).await;
    let (mut eve, _) = Client::join_with(&server, auth("eve", "lobby")).await;
    let board = ann.call("chat-message", json!({ "content": "for the board", "id": "m", "room": "board" })).await;
    ann.call("join", json!({ "room": "lobby" })).await;

    for (event, payload, code) in [
        ("join", json!({ "room": "board" }), "room_forbidden"),
        ("join", json!({ "room": "board", "offset": joined["offset"] }), "room_forbidden"),
        ("leave", json!({ "room": "board" }), "not_in_room"),
        ("chat-message", json!({ "content": "x", "room": "board" }), "not_in_room"),
        // Its id and its offset are nobody's key.
        ("chat-message", json!({ "content": "for the board", "id": "m", "room": "board" }), "not_in_room"),
        (
            "chat-message",
            json!({ "content": "x", "room": "board", "sender": "ann", "offset": board["offset"] }),
            "not_in_room",
        ),
    ] {
        let answer = eve.call(event, payload.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{event} {payload}: {answer}");
        let told = answer.to_string();
        assert!(!told.contains(board["offset"].as_str().unwrap()) && !told.contains("for the board"), "{told}");
    }
    // The board's offset in another room, and a room that a new connection may not have.
    let replayed = json!({ "token": token("eve", "lobby"), "room": "lobby", "offset": joined["offset"] });
    let (mut back, _) = Client::join_with(&server, replayed).await;
    let mut refused = Client::dial(&server).await;
    refused.connect(&json!({ "token": token("eve", "lobby"), "room": "board", "offset": joined["offset"] })).await;
    let refusal = refused.take(|_| true).await;
    assert!(matches!(&refusal, Packet::Refused(error) if error["data"]["code"] == "room_forbidden"), "{refusal:?}");

    ann.call("chat-message", json!({ "content": "more for the board", "room": "board" })).await;
    ann.call("chat-message", json!({ "content": "for all", "room": "lobby" })).await;
    for client in [&mut eve, &mut back] {
        assert_eq!(client.contents(1).await, ["for all"]);
        assert!(messages_of(client, "board").is_empty(), "{:?}", client.inbox);
    }
}

#[tokio::test]
async fn what_a_sender_says_of_itself_or_of_another_is_not_believed() {
    let server = Server::open(&["--rate-limit", "1000"]).await;
    let (mut ann, mut eve) = (Client::join(&server, "ann").await, Client::join(&server, "eve").await);
    let anns = ann.call("chat-message", json!({ "content": "ann's", "id": "m" })).await;
    let forged = json!({
        "content": "eve's", "id": "m", "sender": "ann", "timestamp": 1, "offset": anns["offset"], "token": "ann",
    });
    let eves = eve.call("chat-message", forged).await;
    assert!(eves["offset"].as_str() > anns["offset"].as_str(), "a message of its own: {eves}");
    let (first, second) = (ann.event("chat-message").await, ann.event("chat-message").await);
    assert_eq!((&first["sender"], &first["content"]), (&json!("ann"), &json!("ann's")));
    assert_eq!((&second["sender"], &second["content"]), (&json!("eve"), &json!("eve's")));
    assert_eq!((&second["offset"], &second["timestamp"]), (&eves["offset"], &eves["timestamp"]));
}

#[tokio::test]
async fn an_offset_is_a_place_and_nothing_else() {
    let server = Server::open(&["--rate-limit", "1000"]).await;
    let mut ann = Client::join(&server, "ann").await;
    ann.call("join", json!({ "room": "r" })).await;
    for n in 1..=3 {
        ann.call("chat-message", json!({ "content": format!("r {n}"), "room": "r" })).await;
    }
    let elsewhere = ann.call("chat-message", json!({ "content": "elsewhere" })).await["offset"].clone();

    let mut eve = Client::join_with(&server, json!({ "token": "eve", "room": "own" })).await.0;
    for offset in [
        json!("0-0"),
        json!("$"),
        json!("+"),
        json!("-"),
        json!(">"),
        json!("*"),
        json!(""),
        json!("0"),
        json!(0),
        json!(null),
        json!("0000000000000000000"),
        json!("000000000000000000000"),
        json!("0000000000000000000G"),
        json!("FFFFFFFFFFFFFFFFFFFF"),
        json!("-0000000000000000001"),
        json!("0000000000\r\n00000000"),
        json!("(0000000000000000000"),
        json!("../../../etc/passwd0"),
        json!("') redis.call('FLUSHA"),
        json!([]),
        json!({}),
        json!("\u{ff10}0000000000000000000"),
    ] {
        let answer = eve.call("join", json!({ "room": "r", "offset": offset })).await;
        if offset.is_null() && answer["error"].is_null() {
            // None at all.
            eve.call("leave", json!({ "room": "r" })).await;
            continue;
        }
        let error = &answer["error"];
        assert_eq!(error["code"], "invalid_payload", "{offset}: {answer}");
        assert!(error["message"].as_str().is_some_and(|text| text.contains("offset")), "{offset}: {answer}");
    }
    for room in ["{r}", "r}", "r\r\n", "r r", "r*", "../r", "r\0", "", "r,other", "\u{72}\u{301}"] {
        let answer = eve.call("join", json!({ "room": room })).await;
        assert!(answer["error"]["code"].is_string(), "{room:?}: {answer}");
    }
    // Well formed and forged: before everything, after everything, of another room. What is live comes all the same.
    for offset in [json!("00000000000000000000"), json!("ffffffffffffffffffff"), elsewhere] {
        let joined = eve.call("join", json!({ "room": "r", "offset": offset })).await;
        assert!(joined["offset"].as_str() <= joined["head"].as_str(), "{offset}: {joined}");
        let live = format!("after {offset}");
        ann.call("chat-message", json!({ "content": live, "room": "r" })).await;
        eve.take(|packet| matches!(packet, Packet::Event(_, said) if said["content"] == live)).await;
        eve.call("leave", json!({ "room": "r" })).await;
    }
    assert!(messages_of(&eve, "global").is_empty(), "{:?}", eve.inbox);
}
