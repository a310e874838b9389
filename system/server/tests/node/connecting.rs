//! CONNECT: who is let in, and what the rest are told.

use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};

use crate::client::{Client, Packet};
use crate::server::Server;

const SECRET: &str = "a secret of at least thirty-two bytes";

fn token(claims: Value) -> String {
    let mut claims = claims;
    claims["exp"] = claims.get("exp").cloned().unwrap_or_else(|| (get_current_timestamp() + 60).into());
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
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
}
