//! Tokens, secrets and contents stay out of logs, metrics and spans, however talkative a node is told to be.

use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::client::{Client, Packet};
use crate::collector::Collector;
use crate::server::Server;

const SECRET: &str = "s3cret-key-of-at-least-thirty-two-bytes";
const CONTENT: &str = "s3cret-content";
const HEADER: &str = "s3cret-header";
const QUERY: &str = "s3cret-query";

fn token(key: &str, expiry: i64) -> String {
    let claims = json!({ "sub": "ann", "exp": get_current_timestamp().cast_signed() + expiry });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

#[tokio::test]
async fn nothing_secret_leaves_a_node_that_logs_everything() {
    let (collector, endpoint) = Collector::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SECRET).unwrap();
    let secret_file = file.path().to_str().unwrap();
    let traced = ["--otlp-endpoint", &endpoint, "--otlp-ratio", "1", "--otlp-delay", "20"];
    let flags = [&["--log", "trace", "--jwt-secret-file", secret_file][..], &traced].concat();
    let mut server = Server::start(&flags).await;

    let good = token(SECRET, 60);
    let bad = [token(SECRET, -600), token("another key of at least thirty-two bytes", 60), "s3cret-token".to_owned()];
    for token in &bad {
        let mut client = Client::dial(&server).await;
        client.connect(&json!({ "token": token })).await;
        client.take(|packet| matches!(packet, Packet::Refused(_))).await;
    }
    let (mut ann, _) = Client::join_with(&server, json!({ "token": good })).await;
    ann.call("chat-message", json!({ "content": CONTENT, "id": "m" })).await;
    ann.contents(1).await;
    ann.call("chat-message", json!({ "content": [CONTENT] })).await;
    ann.call("chat-message", json!({ "content": CONTENT, "room": "elsewhere" })).await;
    ann.call("join", json!({ "room": "r", "token": good, "offset": CONTENT })).await;
    // Neither an event nor a packet that anybody knows.
    ann.write(format!("42[\"{CONTENT}\",{{\"token\":\"{good}\"}}]")).await;
    let query = format!("/socket.io/?EIO=4&transport=websocket&token={QUERY}");
    let headers = format!("Authorization: Bearer {HEADER}\r\nCookie: sid={HEADER}\r\nOrigin: http://{HEADER}\r\n");
    for path in [query.as_str(), "/", "/nothing-here"] {
        server.request("GET", path, &headers).await;
    }
    let mut broken = Client::join_with(&server, json!({ "token": good })).await.0;
    broken.write(format!("4{CONTENT}")).await;
    broken.settle().await;

    let metrics = server.get("/metrics").await.body;
    assert!(metrics.contains("chat_messages_accepted_total 1"), "{metrics}");
    collector.span("chat.ack", "m").await;
    server.signal(Signal::SIGTERM);
    assert_eq!(server.exit_code().await, 0);
    let (log, spans) = (server.log(), format!("{:?}", collector.spans()));
    assert!(log.contains("\"message\":\"drained\"") && spans.contains("chat.accept"), "{log}");
    let parts = bad.iter().chain([&good]).flat_map(|token| token.split('.')).filter(|part| part.len() > 20);
    // The first part is the same in every token in the world, and no secret.
    let parts = parts.filter(|part| !part.starts_with("eyJ0eXAi") && !part.starts_with("eyJhbGci"));
    for secret in parts.chain([SECRET, CONTENT, HEADER, QUERY, "s3cret"]) {
        for (place, text) in [("the log", &log), ("the metrics", &metrics), ("the spans", &spans)] {
            let line = text.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{secret} is in {place}: {line:?}");
        }
    }
}
