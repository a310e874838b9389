//! Rooms, messages, acks, refusals, limits.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::client::{Client, Packet};
use crate::server::Server;

fn text(content: &str, id: &str) -> Value {
    json!({ "content": content, "id": id })
}

#[tokio::test]
async fn every_member_and_the_sender_get_a_message_once_in_one_order() {
    let server = Server::open(&["--rate-limit", "1000"]).await;
    let (mut ann, mut bob) = (Client::join(&server, "ann").await, Client::join(&server, "bob").await);
    let mut asked = Vec::new();
    for n in 0..100 {
        let id = ann.ask("chat-message", &text(&format!("a{n}"), &format!("a-{n}"))).await;
        asked.push((id, n));
        bob.ask("chat-message", &text(&format!("b{n}"), &format!("b-{n}"))).await;
    }
    let mut last = String::new();
    for (id, n) in asked {
        let sent = ann.ack(id).await;
        assert_eq!(sent["id"], format!("a-{n}"));
        let offset = sent["offset"].as_str().unwrap().to_owned();
        assert!(offset > last && offset.len() == 20, "{offset} after {last}");
        last = offset;
    }
    let (seen_by_ann, seen_by_bob) = (ann.contents(200).await, bob.contents(200).await);
    assert_eq!(seen_by_ann, seen_by_bob);
    let of = |sender: char| seen_by_ann.iter().filter(|c| c.starts_with(sender)).cloned().collect::<Vec<_>>();
    assert_eq!(of('a'), (0..100).map(|n| format!("a{n}")).collect::<Vec<_>>());
    assert_eq!(of('b'), (0..100).map(|n| format!("b{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn acks_come_in_the_order_of_the_messages() {
    let server = Server::open(&["--rate-limit", "1000"]).await;
    let mut ann = Client::join(&server, "ann").await;
    for n in 0..50 {
        ann.ask("chat-message", &json!({ "content": n.to_string() })).await;
    }
    let acks = async {
        let mut acks = Vec::new();
        while acks.len() < 50 {
            match ann.take(|packet| matches!(packet, Packet::Ack(..))).await {
                Packet::Ack(id, _) => acks.push(id),
                other => panic!("{other:?}"),
            }
        }
        acks
    };
    assert_eq!(acks.await, (1..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_sent_before_joined_came_waits_for_the_join() {
    let server = Server::open(&[]).await;
    let mut ann = Client::dial(&server).await;
    ann.connect(&json!({ "token": "ann" })).await;
    ann.take(|packet| *packet == Packet::Connected).await;
    let join = ann.ask("join", &json!({ "room": "r" })).await;
    let first = ann.ask("chat-message", &json!({ "content": "global" })).await;
    let second = ann.ask("chat-message", &json!({ "content": "room", "room": "r" })).await;
    assert_eq!(ann.ack(join).await["room"], "r");
    assert!(ann.ack(first).await["error"].is_null() && ann.ack(second).await["error"].is_null());
}

#[tokio::test]
async fn the_same_id_is_the_same_message() {
    let server = Server::open(&[]).await;
    let (mut ann, mut bob) = (Client::join(&server, "ann").await, Client::join(&server, "bob").await);
    let first = ann.call("chat-message", text("once", "x")).await;
    assert_eq!(ann.call("chat-message", text("once", "x")).await, first);
    assert_ne!(bob.call("chat-message", text("another sender's", "x")).await["offset"], first["offset"]);
    assert_eq!(ann.contents(2).await, ["once", "another sender's"]);
    let duplicate = server.metric_once("chat_messages_acked_total{copy=\"duplicate\"}", |acked| acked > 0.5).await;
    assert!((duplicate - 1.0).abs() < 0.5, "{duplicate}");
}

#[tokio::test]
async fn a_message_looks_as_the_contract_says() {
    let server = Server::open(&[]).await;
    let mut ann = Client::join(&server, "ann").await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let content = " <b>\u{1f980}\u{0}\n ";
    let sent = ann.call("chat-message", json!({ "content": content, "id": "m-1", "traceparent": parent })).await;
    let message = ann.event("chat-message").await;
    let expected = json!({
        "id": "m-1", "room": "global", "sender": "ann", "content": content, "traceparent": parent,
        "timestamp": sent["timestamp"], "offset": sent["offset"],
    });
    assert_eq!(message, expected);
    let made = ann.call("chat-message", json!({ "content": "no id", "traceparent": "nonsense" })).await;
    assert_eq!(made["id"].as_str().unwrap().len(), 36);
    assert_eq!(ann.event("chat-message").await.get("traceparent"), None);
}

#[tokio::test]
async fn a_refusal_is_in_the_ack_and_an_event_and_the_socket_stays() {
    let server = Server::open(&["--rate-limit", "1000", "--rooms-per-socket", "2"]).await;
    let mut ann = Client::join(&server, "ann").await;
    let long = "x".repeat(1001);
    for (event, payload, code, words) in [
        ("chat-message", json!({}), "invalid_payload", "Invalid message payload: content is missing"),
        ("chat-message", json!("x"), "invalid_payload", "Invalid message payload: payload must be an object"),
        ("chat-message", json!({ "content": " \n" }), "invalid_payload", "Invalid message payload: content"),
        ("chat-message", json!({ "content": long }), "invalid_payload", "Invalid message payload: content"),
        ("chat-message", json!({ "content": "x", "id": "" }), "invalid_payload", "Invalid message payload: id"),
        ("chat-message", json!({ "content": "x", "room": "away" }), "not_in_room", "Not in room: away"),
        ("join", json!({ "room": 7 }), "invalid_payload", "Invalid message payload: room must be a string"),
        ("join", json!({ "room": "r", "offset": "0" }), "invalid_payload", "Invalid message payload: offset"),
        ("leave", json!({ "room": "away" }), "not_in_room", "Not in room: away"),
    ] {
        let answer = ann.call(event, payload.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{payload}");
        assert!(answer["error"]["message"].as_str().unwrap().starts_with(words), "{answer}");
        let error = ann.event("error").await;
        assert_eq!((&error["code"], &error["message"]), (&answer["error"]["code"], &answer["error"]["message"]));
    }
    ann.write("42[\"chat-message\"]".to_owned()).await;
    assert_eq!(ann.event("error").await["code"], "invalid_payload", "an event comes without an ack too");
    assert_eq!(ann.call("join", json!({ "room": "two" })).await["recovered"], true);
    assert_eq!(ann.call("join", json!({ "room": "three" })).await["error"]["code"], "too_many_rooms");
    assert!(ann.call("chat-message", json!({ "content": "still here" })).await["error"].is_null());
}

/// Also as often as no message may be sent: it is none.
#[tokio::test]
async fn an_event_that_nobody_knows_is_refused_and_the_known_ones_are_named() {
    let server = Server::open(&[]).await;
    let mut ann = Client::join(&server, "ann").await;
    let message = "Invalid message payload: event must be one of chat-message, join, leave";
    let error = json!({ "code": "invalid_payload", "message": message });
    for event in ["message", "Chat-Message", "", "disconnect"].repeat(4) {
        assert_eq!(ann.call(event, json!({ "content": "x" })).await, json!({ "error": error }), "{event}");
        assert_eq!(ann.event("error").await, error, "{event}");
    }
    ann.write("42[\"message\"]".to_owned()).await;
    assert_eq!(ann.event("error").await, error, "without an ack");
    assert!(ann.call("chat-message", json!({ "content": "still here" })).await["error"].is_null());
}

/// What socketioxide reads before this node does.
#[tokio::test]
async fn an_ack_id_has_63_bits_and_an_events_name_no_escapes() {
    let server = Server::open(&[]).await;
    let (mut ann, mut bob) = (Client::join(&server, "ann").await, Client::join(&server, "bob").await);
    for (id, content) in [(u64::MAX >> 1, "asked"), ((u64::MAX >> 1) + 1, "not asked")] {
        ann.write(format!("42{id}[\"chat-message\",{{\"content\":\"{content}\"}}]")).await;
        assert_eq!(bob.contents(1).await, [content], "taken either way");
    }
    assert!(ann.ack(u64::MAX >> 1).await["error"].is_null());
    ann.call("leave", json!({ "room": "global" })).await;
    assert!(!ann.inbox.iter().any(|packet| matches!(packet, Packet::Ack(..))), "{:?}", ann.inbox);
    ann.write("42[\"chat\\u002dmessage\",{\"content\":\"x\"}]".to_owned()).await;
    ann.closed().await;
}

#[tokio::test]
async fn ten_messages_a_second_and_a_free_repeat() {
    let server = Server::open(&[]).await;
    let mut ann = Client::join(&server, "ann").await;
    for n in 0..10 {
        ann.ask("chat-message", &text("x", &format!("m{n}"))).await;
    }
    let refused = ann.call("chat-message", text("x", "m10")).await;
    assert_eq!(refused["error"]["code"], "rate_limited");
    assert_eq!(refused["error"]["message"], "Rate limit exceeded: 10 messages/second");
    let wait = refused["error"]["retry_after_ms"].as_u64().unwrap();
    assert!((1..=1000).contains(&wait), "{wait}");
    assert!(ann.call("chat-message", text("x", "m3")).await["error"].is_null(), "the repeat is free");
    // Free once a second, and a second may have passed.
    let mut repeats = 0;
    while ann.call("chat-message", text("x", "m3")).await["error"]["code"] != "rate_limited" {
        repeats += 1;
        assert!(repeats < 10, "every repeat is free");
    }
    // What the node said is waited for, and not a moment longer than it said.
    tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
    assert!(ann.call("chat-message", text("x", "m10")).await["error"].is_null());
}

#[tokio::test]
async fn whoever_comes_back_with_an_offset_gets_what_was_missed_and_then_what_is_new() {
    let server = Server::open(&["--rate-limit", "1000"]).await;
    let (mut ann, mut bob) = (Client::join(&server, "ann").await, Client::join(&server, "bob").await);
    ann.call("chat-message", json!({ "content": "seen" })).await;
    let seen = bob.event("chat-message").await;
    drop(bob);
    for n in 0..30 {
        ann.call("chat-message", json!({ "content": n.to_string() })).await;
    }
    let (mut bob, joined) = Client::join_with(&server, json!({ "token": "bob", "offset": seen["offset"] })).await;
    assert_eq!((&joined["recovered"], &joined["offset"]), (&json!(true), &seen["offset"]));
    ann.call("chat-message", json!({ "content": "live" })).await;
    let expected: Vec<_> = (0..30).map(|n| n.to_string()).chain(["live".to_owned()]).collect();
    assert_eq!(bob.contents(31).await, expected);
    let (mut carl, joined) = Client::join_with(&server, json!({ "token": "carl" })).await;
    assert_eq!(joined["offset"], joined["head"]);
    ann.call("chat-message", json!({ "content": "after" })).await;
    assert_eq!(carl.contents(1).await, ["after"], "no history without an offset");
}

#[tokio::test]
async fn nothing_comes_after_leave_and_a_second_join_replays_nothing() {
    let server = Server::open(&["--rate-limit", "1000"]).await;
    let (mut ann, mut bob) = (Client::join(&server, "ann").await, Client::join(&server, "bob").await);
    let first = bob.call("join", json!({ "room": "r" })).await;
    ann.call("join", json!({ "room": "r" })).await;
    let sent = ann.call("chat-message", json!({ "content": "1", "room": "r" })).await;
    bob.contents(1).await;
    let again = bob.call("join", json!({ "room": "r", "offset": first["offset"] })).await;
    assert_eq!(again["offset"], sent["offset"], "its position now");
    let left = bob.call("leave", json!({ "room": "r" })).await;
    assert_eq!(left, json!({ "room": "r", "offset": sent["offset"] }));
    ann.call("chat-message", json!({ "content": "2", "room": "r" })).await;
    ann.call("chat-message", json!({ "content": "global" })).await;
    assert_eq!(bob.contents(1).await, ["global"]);
}

#[tokio::test]
async fn rooms_are_apart() {
    let server = Server::open(&["--rate-limit", "1000"]).await;
    let mut ann = Client::join_with(&server, json!({ "token": "ann", "room": "a" })).await.0;
    let mut bob = Client::join_with(&server, json!({ "token": "bob", "room": "b" })).await.0;
    ann.call("chat-message", json!({ "content": "to a", "room": "a" })).await;
    bob.call("chat-message", json!({ "content": "to b", "room": "b" })).await;
    let rooms = |packets: &[Packet]| {
        let room = |packet: &Packet| match packet {
            Packet::Event(name, payload) if name == "chat-message" => payload["room"].as_str().map(str::to_owned),
            _ => None,
        };
        packets.iter().filter_map(room).collect::<BTreeSet<_>>()
    };
    ann.call("leave", json!({ "room": "a" })).await;
    bob.call("leave", json!({ "room": "b" })).await;
    assert_eq!(rooms(&ann.inbox), BTreeSet::from(["a".to_owned()]));
    assert_eq!(rooms(&bob.inbox), BTreeSet::from(["b".to_owned()]));
}
