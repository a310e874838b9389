//! What an exporter sends comes in, and goes on where it should.

use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Status};
use reqwest::Client;

use super::*;

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(any_value::Value::StringValue(value.to_owned()));
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value }), ..KeyValue::default() }
}

fn export() -> ExportTraceServiceRequest {
    let span = proto::Span {
        trace_id: 0xabc_u128.to_be_bytes().to_vec(),
        span_id: 5_u64.to_be_bytes().to_vec(),
        parent_span_id: Vec::new(),
        name: "log.append".to_owned(),
        start_time_unix_nano: 10,
        end_time_unix_nano: 30,
        attributes: vec![text("message.id", "m")],
        events: vec![proto::span::Event { time_unix_nano: 20, name: "slow".to_owned(), ..Default::default() }],
        links: vec![proto::span::Link {
            trace_id: 7_u128.to_be_bytes().to_vec(),
            span_id: 8_u64.to_be_bytes().to_vec(),
            ..Default::default()
        }],
        status: Some(Status { message: "refused".to_owned(), code: proto::status::StatusCode::Error as i32 }),
        ..Default::default()
    };
    let resource = Resource {
        attributes: vec![text("service.name", "chat-node"), text("service.instance.id", "chat-2")],
        ..Default::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..Default::default() }];
    let of_resource = ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() };
    ExportTraceServiceRequest { resource_spans: vec![of_resource] }
}

async fn post(receiver: &Receiver, path: &str, kind: &str, body: Vec<u8>) -> StatusCode {
    let client = Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{}{path}", receiver.endpoint())).header(CONTENT_TYPE, kind).body(body);
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn an_export_becomes_spans_of_its_message() {
    let store = SpanStore::in_memory();
    let receiver = Receiver::start(store.clone(), None).await.unwrap();
    assert_eq!(post(&receiver, "/v1/traces", PROTOBUF, export().encode_to_vec()).await, StatusCode::OK);
    let expected = Span {
        trace: TraceId(0xabc),
        id: SpanId(5),
        links: vec![Link { trace: TraceId(7), span: SpanId(8) }],
        name: "log.append".to_owned(),
        service: "chat-2".to_owned(),
        start_ns: 10,
        end_ns: 30,
        events: vec![SpanEvent { at_ns: 20, name: "slow".to_owned(), attributes: [].into() }],
        error: Some("refused".to_owned()),
        ..Span::default()
    };
    assert_eq!(*store.of_message("m")[0], expected.with("message.id", "m"));
    assert_eq!(receiver.received(), Received { exports: 1, spans: 1, ..Received::default() });
}

#[tokio::test]
async fn what_is_no_export_is_refused_and_counted() {
    let receiver = Receiver::start(SpanStore::in_memory(), None).await.unwrap();
    assert_eq!(post(&receiver, "/v1/traces", PROTOBUF, b"nonsense".to_vec()).await, StatusCode::BAD_REQUEST);
    assert_eq!(post(&receiver, "/v1/traces", "text/plain", Vec::new()).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(receiver.received(), Received { malformed: 2, ..Received::default() });
    for path in ["/v1/metrics", "/v1/logs"] {
        assert_eq!(post(&receiver, path, PROTOBUF, b"anything".to_vec()).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn the_same_bytes_go_on_to_a_further_collector() {
    let further = SpanStore::in_memory();
    let collector = Receiver::start(further.clone(), None).await.unwrap();
    let receiver = Receiver::start(SpanStore::in_memory(), Some(collector.endpoint())).await.unwrap();
    post(&receiver, "/v1/traces", PROTOBUF, export().encode_to_vec()).await;
    let counters = Arc::clone(&receiver.counters);
    receiver.stop(Duration::from_secs(5)).await;
    assert_eq!(counters.forwarded.load(Relaxed), 1);
    assert_eq!(further.len(), 1);
}

#[tokio::test]
async fn a_collector_that_is_not_there_costs_no_span() {
    let store = SpanStore::in_memory();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let receiver = Receiver::start(store.clone(), Some(&format!("http://{nobody}"))).await.unwrap();
    for _ in 0..3 {
        assert_eq!(post(&receiver, "/v1/traces", PROTOBUF, export().encode_to_vec()).await, StatusCode::OK);
    }
    assert_eq!(store.len(), 3);
    let counters = Arc::clone(&receiver.counters);
    receiver.stop(Duration::from_secs(5)).await;
    assert_eq!((counters.forwarded.load(Relaxed), counters.not_forwarded.load(Relaxed)), (0, 3));
}
