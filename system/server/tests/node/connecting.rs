//! CONNECT: who is let in, and what the rest are told.

use std::os::unix::fs::symlink;
use std::path::Path;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};

use crate::client::{Client, Packet};
use crate::server::Server;

pub(crate) const SECRET: &str = "a secret of at least thirty-two bytes";

pub(crate) fn token(claims: Value) -> String {
    signed(SECRET, claims)
}

fn signed(secret: &str, mut claims: Value) -> String {
    claims["exp"] = claims.get("exp").cloned().unwrap_or_else(|| (get_current_timestamp() + 60).into());
    encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// The code of the refusal; `None` for who is let in.
async fn refused(server: &Server, token: &str) -> Option<String> {
    let mut client = Client::dial(server).await;
    client.connect(&json!({ "token": token })).await;
    match client.take(|packet| matches!(packet, Packet::Refused(_) | Packet::Connected)).await {
        Packet::Refused(error) => Some(error["data"]["code"].as_str().unwrap().to_owned()),
        _ => None,
    }
}

#[tokio::test]
async fn a_refusal_says_why() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{SECRET}\n")).unwrap();
    let server = Server::start(&["--jwt-secret-file", file.path().to_str().unwrap()]).await;
    let limited = || token(json!({ "sub": "ann", "rooms": ["team-*"] }));
    for (auth, code) in [
        (json!({}), "unauthenticated"),
        (json!({ "token": "ann" }), "token_invalid"),
        (json!({ "token": token(json!({ "sub": "ann", "exp": 1000 })) }), "token_expired"),
        (json!({ "token": token(json!({})) }), "token_invalid"),
        (json!({ "token": token(json!({ "sub": "ann" })), "room": "no room" }), "room_invalid"),
        (json!({ "token": limited() }), "room_forbidden"),
        (json!({ "token": limited(), "room": "team-1", "offset": "x" }), "invalid_payload"),
    ] {
        let mut client = Client::dial(&server).await;
        client.connect(&auth).await;
        match client.take(|packet| matches!(packet, Packet::Refused(_))).await {
            Packet::Refused(error) => {
                assert_eq!(error["data"], json!({ "code": code }), "{auth}");
                assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
    let mut client = Client::dial(&server).await;
    client.connect(&json!({ "token": limited(), "room": "team-1" })).await;
    assert_eq!(client.event("joined").await["room"], "team-1");
    let answer = client.call("join", json!({ "room": "elsewhere" })).await;
    assert_eq!(answer["error"]["code"], "room_forbidden");
    assert!(!server.log().contains("eyJ"), "no token in the log");
}

#[tokio::test]
async fn the_standard_words_for_a_missing_token() {
    let server = Server::open(&[]).await;
    let mut client = Client::dial(&server).await;
    client.write("40".to_owned()).await;
    let expected = json!({ "message": "Authentication required", "data": { "code": "unauthenticated" } });
    assert_eq!(client.take(|_| true).await, Packet::Refused(expected));
    assert!((server.metric("chat_connects_refused_total{reason=\"unauthenticated\"}").await - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn a_websocket_of_a_foreign_page_is_refused_and_of_a_listed_one_taken() {
    let server = Server::open(&["--cors-origin", "https://a.example"]).await;
    let upgrade = |origin: &str| {
        format!(
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{origin}"
        )
    };
    let path = "/socket.io/?EIO=4&transport=websocket";
    let evil = server.request("GET", path, &upgrade("Origin: https://evil.example\r\n")).await;
    assert_eq!((evil.status, evil.body.as_str()), (403, r#"{"code":4,"message":"Forbidden"}"#));
    assert!(!evil.head.contains("access-control-allow-origin"), "{}", evil.head);
    let polling = server.request("GET", "/socket.io/?EIO=4&transport=polling", "Origin: https://a.example\r\n").await;
    assert!(polling.head.contains("access-control-allow-origin: https://a.example"), "{}", polling.head);
    assert!(polling.head.contains("access-control-allow-credentials: true"), "{}", polling.head);
    let asks = "Access-Control-Request-Method: GET\r\nOrigin: https://";
    let listed = server.request("OPTIONS", "/ready", &format!("{asks}a.example\r\n")).await;
    assert_eq!(listed.status, 204);
    for header in ["allow-origin: https://a.example", "allow-credentials: true", "allow-methods: get"] {
        assert!(listed.head.contains(&format!("access-control-{header}")), "{}", listed.head);
    }
    let foreign = server.request("OPTIONS", "/ready", &format!("{asks}evil.example\r\n")).await;
    assert!(!foreign.head.contains("access-control"), "{}", foreign.head);
}

/// Both ends of what the contract calls 1 to 64, and the default number of rooms.
#[tokio::test]
async fn names_have_64_characters_and_a_socket_50_rooms_at_most() {
    let server = Server::open(&["--rate-limit", "1000"]).await;
    let name = |length: usize| "aZ9._:-".chars().cycle().take(length).collect::<String>();
    let auth = json!({ "token": name(64), "room": name(64) });
    let mut ann = Client::join_with(&server, auth).await.0;
    let sent = ann.call("chat-message", json!({ "content": "x", "room": name(64), "id": name(64) })).await;
    assert_eq!(sent["id"], name(64));
    let message = ann.event("chat-message").await;
    assert_eq!((&message["sender"], &message["room"]), (&json!(name(64)), &json!(name(64))));
    for (event, payload) in [
        ("join", json!({ "room": name(65) })),
        ("chat-message", json!({ "content": "x", "room": name(65) })),
        ("chat-message", json!({ "content": "x", "room": name(64), "id": name(65) })),
        ("join", json!({ "room": "" })),
        ("join", json!({ "room": "a b" })),
    ] {
        assert_eq!(ann.call(event, payload.clone()).await["error"]["code"], "invalid_payload", "{payload}");
    }
    for (auth, code) in
        [(json!({ "token": name(65) }), "token_invalid"), (json!({ "token": "ann", "room": name(65) }), "room_invalid")]
    {
        let mut client = Client::dial(&server).await;
        client.connect(&auth).await;
        let refused = client.take(|packet| matches!(packet, Packet::Refused(_))).await;
        assert!(matches!(&refused, Packet::Refused(error) if error["data"]["code"] == code), "{refused:?}");
    }
    for n in 2..=50 {
        assert!(ann.call("join", json!({ "room": n.to_string() })).await["error"].is_null(), "room {n}");
    }
    assert_eq!(ann.call("join", json!({ "room": "51" })).await["error"]["code"], "too_many_rooms");
    ann.call("leave", json!({ "room": "2" })).await;
    assert!(ann.call("join", json!({ "room": "51" })).await["error"].is_null(), "a room that was left is free");
}

#[tokio::test]
async fn a_public_key_lets_in_whom_its_owner_signed() {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
    let claims = json!({ "sub": "ann", "exp": get_current_timestamp() + 60 });
    let sign = |algorithm, key| encode(&Header::new(algorithm), &claims, &key).unwrap();
    let pem = |name: &str| std::fs::read(keys.join(name)).unwrap();
    let eddsa = sign(Algorithm::EdDSA, EncodingKey::from_ed_pem(&pem("ed25519.pem")).unwrap());
    let rs256 = sign(Algorithm::RS256, EncodingKey::from_rsa_pem(&pem("rsa.pem")).unwrap());
    let confused = sign(Algorithm::HS256, EncodingKey::from_secret(&pem("ed25519.pub.pem")));
    let server = Server::start(&["--jwt-public-key-file", keys.join("ed25519.pub.pem").to_str().unwrap()]).await;
    assert_eq!(refused(&server, &eddsa).await, None);
    for other in [rs256, confused, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjk5OTk5OTk5OTl9.".to_owned()] {
        assert_eq!(refused(&server, &other).await.as_deref(), Some("token_invalid"), "{other}");
    }
}

/// As Kubernetes does it: what is swapped is a link to the folder.
#[tokio::test]
async fn a_changed_key_counts_without_a_restart_and_a_wrong_one_changes_nothing() {
    const NEXT: &str = "another secret of at least thirty-two bytes";
    let folder = tempfile::tempdir().unwrap();
    let version = |name: &str, content: &str| {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("secret"), content).unwrap();
        symlink(name, folder.path().join("new")).unwrap();
        std::fs::rename(folder.path().join("new"), folder.path().join("data")).unwrap();
    };
    version("1", SECRET);
    symlink("data/secret", folder.path().join("secret")).unwrap();
    let file = folder.path().join("secret");
    let server = Server::start(&["--jwt-secret-file", file.to_str().unwrap()]).await;
    let (old, new) = (token(json!({ "sub": "old" })), signed(NEXT, json!({ "sub": "new" })));
    let taken = "chat_reloads_total{file=\"keys\",outcome=\"taken\"}";
    let wrong = "chat_reload_refused{file=\"keys\"}";
    assert_eq!(refused(&server, &new).await.as_deref(), Some("token_invalid"));
    let mut ann = Client::join(&server, &old).await;

    version("2", &format!("{NEXT}\n{SECRET}\n"));
    server.metric_once(taken, |changes| changes > 0.5).await;
    assert_eq!((refused(&server, &old).await, refused(&server, &new).await), (None, None));

    version("3", NEXT);
    server.metric_once(taken, |changes| changes > 1.5).await;
    assert_eq!(refused(&server, &old).await.as_deref(), Some("token_invalid"));
    assert!(ann.call("chat-message", json!({ "content": "still here" })).await["error"].is_null());

    version("4", "s3cret and short");
    server.metric_once(wrong, |refused| refused > 0.5).await;
    std::fs::remove_file(folder.path().join("data")).unwrap();
    server.metric_once("chat_reloads_total{file=\"keys\",outcome=\"refused\"}", |changes| changes > 1.5).await;
    assert_eq!(refused(&server, &new).await, None, "the last good key still counts");
    let said = server.lines_with("cannot be used", 2).await.len();
    assert_eq!(said, 2, "each wrong content once:\n{}", server.log());
    assert!(!server.log().contains("s3cret"), "{}", server.log());

    version("5", SECRET);
    server.metric_once(wrong, |refused| refused < 0.5).await;
    assert_eq!(refused(&server, &old).await, None);
}

/// Half a minute late is forgiven, so that this token lives for about five seconds.
#[tokio::test]
async fn a_session_ends_when_its_token_has_expired_and_a_fresh_one_resumes() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SECRET).unwrap();
    let server =
        Server::start(&["--jwt-secret-file", file.path().to_str().unwrap(), "--handshake-timeout", "300ms"]).await;
    let mut bob = Client::join(&server, &token(json!({ "sub": "bob" }))).await;
    let short = token(json!({ "sub": "ann", "exp": get_current_timestamp() - 26 }));
    let (mut ann, joined) = Client::join_with(&server, json!({ "token": short })).await;
    let sent = ann.call("chat-message", json!({ "content": "one" })).await;
    assert!(sent["error"].is_null(), "let in, and heard: {sent}");
    let late = refused_after(&mut ann).await;
    assert_eq!(late, [json!({ "message": "Token expired", "code": "token_expired" })]);
    assert_eq!(refused(&server, &short).await.as_deref(), Some("token_expired"), "not a moment too early");
    bob.call("chat-message", json!({ "content": "two" })).await;
    let back = json!({ "token": token(json!({ "sub": "ann" })), "offset": joined["offset"] });
    let (mut ann, joined) = Client::join_with(&server, back).await;
    assert_eq!(joined["recovered"], true);
    assert_eq!(ann.contents(2).await, ["one", "two"]);
    assert!((server.metric("chat_sessions_expired_total").await - 1.0).abs() < 0.5);
    server.metric_once("chat_connections", |connections| connections < 2.5).await;
}

/// The errors until Socket.IO's DISCONNECT. The node closes the connection when the client does not.
async fn refused_after(client: &mut Client) -> Vec<Value> {
    client.take(|packet| *packet == Packet::Disconnected).await;
    let error = |packet: &Packet| match packet {
        Packet::Event(name, payload) if name == "error" => Some(payload.clone()),
        _ => None,
    };
    let errors = client.inbox.iter().filter_map(error).collect();
    client.write("42[\"chat-message\",{\"content\":\"late\"}]".to_owned()).await;
    client.closed().await;
    assert!(!client.inbox.iter().any(|packet| matches!(packet, Packet::Event(name, payload)
        if name == "chat-message" && payload["content"] == "late")));
    errors
}
