//! One trace from the sender's intention to the last member, of which this node writes its part.

use serde_json::json;

use crate::client::Client;
use crate::collector::{Collector, attribute};
use crate::server::Server;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SENDER: &str = "b7ad6b7169203331";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[tokio::test]
async fn a_sampled_message_is_traced_from_its_sender_on() {
    let (collector, endpoint) = Collector::start().await;
    let server = Server::open(&["--node-id", "chat-7", "--otlp-endpoint", &endpoint, "--otlp-delay", "20"]).await;
    let mut ann = Client::join(&server, "ann").await;
    let traceparent = format!("00-{TRACE}-{SENDER}-01");
    ann.call("chat-message", json!({ "content": "s3cret", "id": "m", "traceparent": traceparent })).await;
    let delivered = ann.event("chat-message").await["traceparent"].as_str().unwrap().to_owned();

    let accept = collector.span("chat.accept", "m").await;
    assert_eq!((hex(&accept.trace_id), hex(&accept.parent_span_id)), (TRACE.to_owned(), SENDER.to_owned()));
    let ours = hex(&accept.span_id);
    assert_eq!(delivered, format!("00-{TRACE}-{ours}-01"), "members continue our span");
    for name in ["log.append", "chat.ack"] {
        let span = collector.span(name, "m").await;
        assert_eq!(hex(&span.parent_span_id), ours, "{name}");
    }
    for name in ["log.append", "chat.fanout", "chat.ack"] {
        let span = collector.span(name, "m").await;
        assert_eq!((hex(&span.trace_id).as_str(), attribute(&span, "room").as_str()), (TRACE, "global"), "{name}");
    }
    assert_eq!(collector.resource("service.name"), "chat-node");
    assert_eq!(collector.resource("service.instance.id"), "chat-7");
    assert!(!format!("{:?}", collector.spans()).contains("s3cret"));
    server.metric_once("chat_spans_exported_total", |spans| spans >= 4.0).await;
    assert!(server.metric("chat_spans_dropped_total").await < 0.5);
}

#[tokio::test]
async fn whoever_began_the_trace_decides_and_others_are_sampled_by_the_ratio() {
    let (collector, endpoint) = Collector::start().await;
    let always = ["--otlp-endpoint", &endpoint, "--otlp-delay", "20", "--otlp-ratio", "1"];
    let server = Server::open(&always).await;
    let mut ann = Client::join(&server, "ann").await;
    let unsampled = format!("00-{TRACE}-{SENDER}-00");
    ann.call("chat-message", json!({ "content": "x", "id": "unsampled", "traceparent": unsampled })).await;
    ann.call("chat-message", json!({ "content": "x", "id": "none" })).await;
    ann.call("chat-message", json!({ "content": "x", "id": "malformed", "traceparent": "00-zz" })).await;
    assert_eq!(ann.event("chat-message").await.get("traceparent"), None);
    assert!(ann.event("chat-message").await["traceparent"].is_string());
    for id in ["none", "malformed"] {
        let accept = collector.span("chat.accept", id).await;
        assert!(accept.parent_span_id.is_empty() && hex(&accept.trace_id) != TRACE);
        let ack = collector.span("chat.ack", id).await;
        assert_eq!(ack.parent_span_id, accept.span_id);
    }
    assert!(collector.spans().iter().all(|span| attribute(span, "message.id") != "unsampled"));
}

#[tokio::test]
async fn what_is_finished_at_sigterm_is_still_exported() {
    let (collector, endpoint) = Collector::start().await;
    let late = ["--otlp-endpoint", &endpoint, "--otlp-delay", "600000", "--otlp-ratio", "1"];
    let mut server = Server::open(&late).await;
    let mut ann = Client::join(&server, "ann").await;
    ann.call("chat-message", json!({ "content": "x", "id": "m" })).await;
    drop(ann);
    server.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(server.exit_code().await, 0);
    collector.span("chat.ack", "m").await;
}

/// A listener that accepts and never answers is the worst collector there is.
#[tokio::test]
async fn a_collector_that_stalls_slows_nobody_and_is_counted() {
    let stalled = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", stalled.local_addr().unwrap());
    let arguments = ["--otlp-endpoint", &endpoint, "--otlp-ratio", "1", "--otlp-queue", "16", "--rate-limit", "10000"];
    let mut server = Server::open(&arguments).await;
    let mut ann = Client::join(&server, "ann").await;
    for _ in 0..200 {
        assert!(ann.call("chat-message", json!({ "content": "x" })).await["error"].is_null());
    }
    server.metric_once("chat_spans_dropped_total", |spans| spans > 100.0).await;
    drop(ann);
    let began = std::time::Instant::now();
    server.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(server.exit_code().await, 0);
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
}
