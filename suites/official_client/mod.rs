//! The contract, as the official Socket.IO client sees it: what nobody here wrote must be able to use every line of it.
//!
//! Both versions in one process, told what to do (`users`). `node_kill` is the promise at length.

mod node_kill;
mod users;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

pub(crate) use users::{Users, VERSIONS, clients, node};

use crate::{chat_node::ChatNode, wait::eventually, warm::play};

const SECRET: &str = "a secret of at least thirty-two bytes";
const OPEN: [&str; 2] = ["--auth", "none"];

fn token(claims: &Value, seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().cast_signed();
    let mut claims = claims.clone();
    claims["exp"] = json!(now + seconds);
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a token")
}

async fn url(node: &ChatNode) -> String {
    format!("http://{}", node.address().await)
}

/// A node of its own for each version.
#[expect(clippy::needless_pass_by_value, reason = "a closure that is written where it is passed")]
fn with_each_version(flags: &[&str], test: impl AsyncFn(&mut Users, &str, &mut ChatNode, &str)) {
    play(async {
        let Some(mut users) = Users::start() else { return };
        for version in VERSIONS {
            let mut node = ChatNode::start(flags);
            let url = url(&node).await;
            test(&mut users, version, &mut node, &url).await;
        }
    });
}

#[test]
fn a_refused_connect_says_why() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), SECRET).expect("a secret");
    let flags = ["--jwt-secret-file", file.path().to_str().expect("a path")];
    with_each_version(&flags, async |users, version, _, url| {
        let ann = token(&json!({ "sub": "ann", "rooms": ["team-*"] }), 60);
        for (code, auth) in [
            ("unauthenticated", json!({})),
            ("token_invalid", json!({ "token": "ann" })),
            ("token_invalid", json!({ "token": token(&json!({ "sub": "no name" }), 60) })),
            ("token_expired", json!({ "token": token(&json!({ "sub": "ann" }), -3600) })),
            ("room_invalid", json!({ "token": ann, "room": "no room" })),
            ("room_forbidden", json!({ "token": ann })),
            ("invalid_payload", json!({ "token": ann, "room": "team-1", "offset": "1" })),
        ] {
            let user = format!("{version}-{code}");
            users.open(&user, version, &[url.to_owned()], &json!({ "auth": auth }));
            let refused = users.take(&user, "connect_error").await;
            assert_eq!(refused["data"], json!({ "code": code }), "{version}: {auth}: {refused}");
            assert!(refused["message"].as_str().is_some_and(|why| !why.is_empty()), "{version}: {refused}");
            assert!(!users.has_seen(&user, "connect"), "{version}: {auth}");
        }
        let joined = users.join(version, version, url, &json!({ "token": ann, "room": "team-1" })).await;
        assert_eq!(joined["room"], "team-1");
        let refused = users.ask(version, "join", &json!({ "room": "elsewhere" })).await;
        assert_eq!(refused["error"]["code"], "room_forbidden", "{version}: {refused}");
    });
}

#[test]
fn a_message_is_acked_and_reaches_every_version() {
    play(async {
        let Some(mut users) = Users::start() else { return };
        let node = ChatNode::start(&OPEN);
        let url = url(&node).await;
        for version in VERSIONS {
            let joined = users.join(version, version, &url, &json!({ "token": version })).await;
            assert_eq!((&joined["room"], &joined["recovered"]), (&json!("global"), &json!(true)));
            assert_eq!(joined["offset"], joined["head"]);
        }
        let content = "line\nbreak, \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}, \u{5d0}, \u{0} and e\u{301}";
        for version in VERSIONS {
            let id = format!("{version}:1");
            let ack = users.ask(version, "chat-message", &json!({ "content": content, "id": id })).await;
            assert_eq!(ack["id"], id, "{ack}");
            for reader in VERSIONS {
                let said = users.take(reader, "chat-message").await["payload"].take();
                let expected = json!({ "id": id, "room": "global", "sender": version, "content": content,
                    "timestamp": ack["timestamp"], "offset": ack["offset"] });
                assert_eq!(said, expected, "from {version} to {reader}");
            }
        }
        let first = users.ask("oldest", "chat-message", &json!({ "content": "twice", "id": "same" })).await;
        let again = users.ask("oldest", "chat-message", &json!({ "content": "twice", "id": "same" })).await;
        assert_eq!(first, again, "the same id is the same message");
        users.order(
            &json!({ "do": "emit", "user": "newest", "event": "chat-message", "payload": { "content": "end" } }),
        );
        assert_eq!(users.contents_up_to("oldest", "end").await, ["twice", "end"]);
    });
}

#[test]
fn a_refusal_names_the_field_and_the_connection_stays() {
    with_each_version(&[&OPEN[..], &["--rate-limit", "1000"]].concat(), async |users, version, _, url| {
        users.join(version, version, url, &json!({ "token": "ann" })).await;
        for (event, payload, code, named) in [
            ("chat-message", json!({ "content": "" }), "invalid_payload", "content must not be empty"),
            ("chat-message", json!({ "content": "x".repeat(1001) }), "invalid_payload", "content must be at most 1000"),
            ("chat-message", json!({ "content": "x", "id": "a b" }), "invalid_payload", "id may hold only"),
            ("chat-message", json!({ "content": "x", "room": 7 }), "invalid_payload", "room must be a string"),
            ("chat-message", json!({ "content": "x", "room": "other" }), "not_in_room", "other"),
            ("chat-message", json!(null), "invalid_payload", "payload must be an object"),
            ("join", json!({}), "invalid_payload", "room is missing"),
            ("join", json!({ "room": "r", "offset": "1" }), "invalid_payload", "offset must be 20"),
            ("leave", json!({ "room": "other" }), "not_in_room", "other"),
        ] {
            let refused = users.ask(version, event, &payload).await["error"].take();
            assert_eq!(refused["code"], code, "{version}: {event} {payload}");
            assert!(refused["message"].as_str().is_some_and(|why| why.contains(named)), "{refused}");
            let told = users.take(version, "error").await["payload"].take();
            assert_eq!(told, json!({ "message": refused["message"], "code": code }), "the same as an event");
            users.order(&json!({ "do": "emit", "user": version, "event": event, "payload": payload }));
            assert_eq!(users.take(version, "error").await["payload"], told, "also when no ack is asked for");
        }
        // A text that was cut in the middle of an emoji: the client writes half a pair, which is no character.
        users.order_as_written(&format!(
            r#"{{"do":"emit","user":"{version}","event":"chat-message","payload":{{"content":"cut \ud83d"}}}}"#
        ));
        let told = users.take(version, "error").await["payload"].take();
        assert_eq!(told["code"], "invalid_payload");
        assert!(told["message"].as_str().is_some_and(|why| why.contains("payload cannot be read")), "{told}");
        let ack = users.ask(version, "chat-message", &json!({ "content": "good" })).await;
        assert!(ack["offset"].is_string(), "{ack}");
        assert_eq!(users.contents_up_to(version, "good").await, ["good"], "nothing that was refused was delivered");
        assert!(!users.has_seen(version, "disconnect"));
    });
}

#[test]
fn rooms_are_joined_and_left() {
    with_each_version(&OPEN, async |users, version, _, url| {
        let [ann, bob] = ["ann", "bob"].map(|name| format!("{name}-{version}"));
        for user in [&ann, &bob] {
            users.join(user, version, url, &json!({ "token": user })).await;
            let joined = users.ask(user, "join", &json!({ "room": "second" })).await;
            assert_eq!((&joined["room"], &joined["recovered"]), (&json!("second"), &json!(true)), "{joined}");
        }
        let say = |content: &str, room: &str| json!({ "content": content, "room": room });
        let first = users.ask(&ann, "chat-message", &say("one", "second")).await;
        assert_eq!(users.contents_up_to(&bob, "one").await, ["one"]);
        let left = users.ask(&bob, "leave", &json!({ "room": "second" })).await;
        assert_eq!(left, json!({ "room": "second", "offset": first["offset"] }));
        users.ask(&ann, "chat-message", &say("two", "second")).await;
        let refused = users.ask(&bob, "chat-message", &say("no", "second")).await;
        assert_eq!(refused["error"]["code"], "not_in_room");
        users.ask(&ann, "chat-message", &say("three", "global")).await;
        assert_eq!(users.contents_up_to(&bob, "three").await, ["three"], "nothing of a room that was left");
        // Back with the offset of what was received: the rest follows.
        let joined = users.ask(&bob, "join", &json!({ "room": "second", "offset": left["offset"] })).await;
        assert_eq!((&joined["offset"], &joined["recovered"]), (&left["offset"], &json!(true)), "{joined}");
        assert_eq!(users.contents_up_to(&bob, "two").await, ["two"]);
    });
}

/// Its own reconnection, with the offset in `auth` as a function.
#[test]
fn whoever_comes_back_gets_what_was_missed() {
    with_each_version(&[&OPEN[..], &["--rate-limit", "1000"]].concat(), async |users, version, _, url| {
        let [ann, bob] = ["ann", "bob"].map(|name| format!("{name}-{version}"));
        let slow =
            json!({ "auth": { "token": ann }, "options": { "reconnectionDelay": 700, "randomizationFactor": 0 } });
        users.open(&ann, version, &[url.to_owned()], &slow);
        users.take(&ann, "joined").await;
        users.join(&bob, version, url, &json!({ "token": bob })).await;
        let mut said = 0;
        loop {
            users.order(&json!({ "do": "cut", "user": ann }));
            users.take(&ann, "disconnect").await;
            let expected: Vec<_> = (said..said + 5).map(|nth| format!("{nth}")).collect();
            for content in &expected {
                users.ask(&bob, "chat-message", &json!({ "content": content })).await;
            }
            said += 5;
            let joined = users.take(&ann, "joined").await["payload"].take();
            assert_eq!(joined["recovered"], true, "{version}: {joined}");
            assert_eq!(users.contents_up_to(&ann, expected.last().expect("five")).await, expected);
            // Unless the machine was so slow that some of it came live.
            let missed = joined["head"] != joined["offset"];
            if missed {
                break;
            }
            assert!(said < 50, "{version} was always back before anything was said");
        }
    });
}

/// What they offer by themselves: permessage-deflate, with a context that the room's members share.
#[test]
fn what_is_compressed_is_read_by_every_version() {
    play(async {
        let Some(mut users) = Users::start() else { return };
        let node = ChatNode::start(&[&OPEN[..], &["--rate-limit", "1000", "--deflate-threshold", "0"]].concat());
        let url = url(&node).await;
        for (user, version, deflate) in [
            ("oldest", "oldest", json!({ "threshold": 0 })),
            ("newest", "newest", json!({ "threshold": 0 })),
            ("plain", "newest", json!(false)),
        ] {
            let more = json!({ "auth": { "token": user }, "options": { "perMessageDeflate": deflate } });
            users.open(user, version, std::slice::from_ref(&url), &more);
            users.take(user, "joined").await;
        }
        let mut said = Vec::new();
        for nth in 0..60 {
            let content = format!("{nth}: {} \u{1f600}\u{e9}", "the same words again ".repeat(nth % 45));
            let sender = VERSIONS[nth % 2];
            let ack = users.ask(sender, "chat-message", &json!({ "content": content })).await;
            assert!(ack["offset"].is_string(), "{ack}");
            said.push(content);
        }
        for user in ["oldest", "newest", "plain"] {
            assert_eq!(users.contents_up_to(user, &said[59]).await, said, "{user}");
        }
        let sent = async |form: &str| node.metric(&format!("chat_deflate_frames_total{{form=\"{form}\"}}")).await;
        // A context that begins anew costs frames of its own; two readers of sixty took compressed ones in any case.
        let (shared, alone) = (sent("shared").await, sent("alone").await);
        assert!(shared >= 1.0 && shared + alone >= 120.0, "{shared} shared, {alone} alone");
    });
}

#[test]
fn the_rate_limit_says_when_to_come_back() {
    with_each_version(&OPEN, async |users, version, _, url| {
        users.join(version, version, url, &json!({ "token": version })).await;
        users.order(&json!({ "do": "talk", "user": version, "messages": 11, "patience": 5000 }));
        users.take(version, "talked").await;
        let refused = users.take(version, "refused").await["answer"]["error"].take();
        assert_eq!(refused["code"], "rate_limited", "{version}");
        assert_eq!(refused["message"], "Rate limit exceeded: 10 messages/second");
        let after = refused["retry_after_ms"].as_u64().expect("when to come back");
        assert!((1..=1000).contains(&after), "{after}");
        // Who waits so long is let in, unless a timer of Node.js was early.
        while users.has_seen(version, "refused") {
            let again = users.take(version, "refused").await["answer"]["error"]["retry_after_ms"].take();
            assert!(again.as_u64().is_some_and(|after| after <= 5), "{version}: {again}");
        }
        let last = format!("{version} says 10");
        assert_eq!(users.contents_up_to(version, &last).await.len(), 11, "and each came once");
    });
}

/// In and out of a room without a pause, as no person would: what the client is told is enough to get in again.
#[test]
fn a_limit_on_joins_says_when_to_come_back() {
    with_each_version(&[&OPEN[..], &["--rooms-per-socket", "5"]].concat(), async |users, version, _, url| {
        users.join(version, version, url, &json!({ "token": version })).await;
        let mut refused = json!(null);
        for n in 1.. {
            assert!(n <= 30, "nothing limits it");
            let answer = users.ask(version, "join", &json!({ "room": "r" })).await;
            users.ask(version, "leave", &json!({ "room": "r" })).await;
            if !answer["error"].is_null() {
                refused = answer["error"].clone();
                break;
            }
        }
        assert_eq!(refused["code"], "rate_limited", "{version}: {refused}");
        let wait = refused["retry_after_ms"].as_u64().expect("when to come back");
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let joined = users.ask(version, "join", &json!({ "room": "r" })).await;
        assert_eq!(joined["room"], "r", "{version}: {joined}");
    });
}

/// Some ten seconds after its beginning, because a token that is late by less than half a minute is let in.
#[test]
fn a_session_ends_with_its_token_and_comes_back_with_another() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), SECRET).expect("a secret");
    let flags = ["--jwt-secret-file", file.path().to_str().expect("a path")];
    play(async {
        let Some(mut users) = Users::start() else { return };
        let node = ChatNode::start(&flags);
        let url = url(&node).await;
        users.join("bob", "newest", &url, &json!({ "token": token(&json!({ "sub": "bob" }), 600) })).await;
        for version in VERSIONS {
            users.join(version, version, &url, &json!({ "token": token(&json!({ "sub": version }), -22) })).await;
        }
        let say = async |users: &mut Users, content: &str| {
            let ack = users.ask("bob", "chat-message", &json!({ "content": content })).await;
            assert!(ack["offset"].is_string(), "{ack}");
        };
        say(&mut users, "before").await;
        for version in VERSIONS {
            let told = users.take(version, "error").await["payload"].take();
            assert_eq!(told, json!({ "message": "Token expired", "code": "token_expired" }), "{version}");
            let why = users.take(version, "disconnect").await["why"].take();
            assert_eq!(why, "io server disconnect", "{version} stays away until it is told otherwise");
        }
        say(&mut users, "meanwhile").await;
        for version in VERSIONS {
            let fresh = token(&json!({ "sub": version }), 600);
            users.order(&json!({ "do": "renew", "user": version, "token": fresh }));
            let joined = users.take(version, "joined").await["payload"].take();
            assert_eq!(joined["recovered"], true, "{version}: {joined}");
            assert_eq!(users.contents_up_to(version, "meanwhile").await, ["before", "meanwhile"], "{version}");
        }
    });
}

#[test]
fn a_node_that_goes_says_so_and_its_users_move_on() {
    with_each_version(&OPEN, async |users, version, node, url| {
        let other = ChatNode::start(&OPEN);
        let nodes = [url.to_owned(), self::url(&other).await];
        users.open(version, version, &nodes, &json!({ "auth": { "token": version } }));
        users.take(version, "joined").await;
        node.terminate();
        let told = users.take(version, "draining").await["payload"].take();
        assert!(told["reconnect_within_ms"].as_u64().is_some_and(|within| within > 0), "{told}");
        // After `io server disconnect` the official client stays away.
        let why = users.take(version, "disconnect").await["why"].take();
        assert_eq!(why, "transport close", "{version}");
        let joined = users.take(version, "joined").await["payload"].take();
        assert_eq!(joined["recovered"], false, "{version}: the other node has a log of its own: {joined}");
        eventually("that a node ends that was told to", async || node.ended()).await;
    });
}
