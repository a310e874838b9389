//! Receives OTLP over HTTP (protobuf) on loopback, as a collector would: nodes export to it while a drill runs.
//!
//! With a further endpoint the same bytes go on to it; a dead one costs nothing but the copies, which are counted.
//! Metrics and logs are accepted and ignored, so that a node that exports them too does not retry for ever.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1 as proto,
};
use prost::Message;
use serde::Serialize;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    SpanStore,
    span::{Link, Span, SpanEvent, SpanId, TraceId, Value},
};

const LARGEST: usize = 64 << 20;
/// Exports that wait to be forwarded; more are dropped and counted.
const FORWARD_QUEUE: usize = 256;
const FORWARD_TIMEOUT: Duration = Duration::from_secs(2);
const PROTOBUF: &str = "application/x-protobuf";

/// What came in so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Received {
    pub exports: u64,
    pub spans: u64,
    /// Exports that could not be read.
    pub malformed: u64,
    pub forwarded: u64,
    /// Exports that the further endpoint did not take.
    pub not_forwarded: u64,
}

#[derive(Debug, Default)]
struct Counters {
    exports: AtomicU64,
    spans: AtomicU64,
    malformed: AtomicU64,
    forwarded: AtomicU64,
    not_forwarded: AtomicU64,
}

#[derive(Clone)]
struct Shared {
    store: SpanStore,
    counters: Arc<Counters>,
    forward: Option<mpsc::Sender<Bytes>>,
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    endpoint: String,
    counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Receiver {
    /// Listens on a free port of 127.0.0.1. `forward_to` is a further OTLP endpoint without path, as in
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub async fn start(store: SpanStore, forward_to: Option<&str>) -> io::Result<Receiver> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (counters, mut tasks) = (Arc::<Counters>::default(), JoinSet::new());
        let forward = forward_to.map(|to| {
            let (queue, queued) = mpsc::channel(FORWARD_QUEUE);
            let to = format!("{}/v1/traces", to.trim_end_matches('/'));
            tasks.spawn(forward(queued, to, Arc::clone(&counters)));
            queue
        });
        let shared = Shared { store, counters: Arc::clone(&counters), forward };
        let (stop, mut stopped) = watch::channel(false);
        let serve = axum::serve(listener, routes(shared)).with_graceful_shutdown(async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        tasks.spawn(async move {
            // Serving an open listener ends only when it is told to.
            let _ = serve.await;
        });
        Ok(Receiver { endpoint, counters, stop, tasks })
    }

    /// `http://127.0.0.1:<port>`: what a node takes as `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn received(&self) -> Received {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        Received {
            exports: of(&self.counters.exports),
            spans: of(&self.counters.spans),
            malformed: of(&self.counters.malformed),
            forwarded: of(&self.counters.forwarded),
            not_forwarded: of(&self.counters.not_forwarded),
        }
    }

    /// Stops listening; what is being received is still taken, and what is to be forwarded is, for at most `within`.
    pub async fn stop(mut self, within: Duration) {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(within, all).await;
    }
}

fn routes(shared: Shared) -> Router {
    Router::new()
        .route("/v1/traces", post(traces))
        .route("/v1/metrics", post(ignore))
        .route("/v1/logs", post(ignore))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(shared)
}

async fn ignore() -> Response {
    answer(Vec::new())
}

/// An empty message is a valid answer of all three services: everything was taken.
fn answer(body: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, PROTOBUF)], body).into_response()
}

async fn traces(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let protobuf = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(PROTOBUF.as_bytes()));
    if !protobuf {
        shared.counters.malformed.fetch_add(1, Relaxed);
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "only application/x-protobuf is read here").into_response();
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body.clone()) else {
        shared.counters.malformed.fetch_add(1, Relaxed);
        return (StatusCode::BAD_REQUEST, "not an ExportTraceServiceRequest").into_response();
    };
    shared.counters.exports.fetch_add(1, Relaxed);
    for span in spans(request) {
        shared.counters.spans.fetch_add(1, Relaxed);
        shared.store.record(span);
    }
    if let Some(queue) = &shared.forward
        && queue.try_send(body).is_err()
    {
        shared.counters.not_forwarded.fetch_add(1, Relaxed);
    }
    answer(ExportTraceServiceResponse::default().encode_to_vec())
}

async fn forward(mut queued: mpsc::Receiver<Bytes>, to: String, counters: Arc<Counters>) {
    let client = reqwest::Client::builder().timeout(FORWARD_TIMEOUT).build().unwrap_or_default();
    while let Some(body) = queued.recv().await {
        let sent = client.post(&to).header(CONTENT_TYPE, PROTOBUF).body(body).send().await;
        let taken = sent.is_ok_and(|answer| answer.status().is_success());
        let counter = if taken { &counters.forwarded } else { &counters.not_forwarded };
        counter.fetch_add(1, Relaxed);
    }
}

fn spans(request: ExportTraceServiceRequest) -> impl Iterator<Item = Span> {
    request.resource_spans.into_iter().flat_map(|of_resource| {
        let service = service(of_resource.resource.as_ref());
        let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.map(move |span| convert(span, &service))
    })
}

fn service(resource: Option<&Resource>) -> String {
    let attribute = |key: &str| {
        let found = resource?.attributes.iter().find(|attribute| attribute.key == key)?;
        Some(value(found.value.as_ref()).to_string())
    };
    attribute("service.instance.id").or_else(|| attribute("service.name")).unwrap_or_default()
}

fn convert(span: proto::Span, service: &str) -> Span {
    let parent = span_id(&span.parent_span_id);
    let failed = span.status.filter(|status| status.code == proto::status::StatusCode::Error as i32);
    Span {
        trace: trace_id(&span.trace_id),
        id: span_id(&span.span_id),
        parent: (parent != SpanId(0)).then_some(parent),
        links: span.links.iter().map(|l| Link { trace: trace_id(&l.trace_id), span: span_id(&l.span_id) }).collect(),
        name: span.name,
        service: service.to_owned(),
        start_ns: span.start_time_unix_nano,
        end_ns: span.end_time_unix_nano,
        attributes: attributes(&span.attributes),
        events: span.events.into_iter().map(event).collect(),
        error: failed.map(|status| status.message),
    }
}

fn event(event: proto::span::Event) -> SpanEvent {
    SpanEvent { at_ns: event.time_unix_nano, attributes: attributes(&event.attributes), name: event.name }
}

fn attributes(pairs: &[KeyValue]) -> std::collections::BTreeMap<String, Value> {
    pairs.iter().map(|pair| (pair.key.clone(), value(pair.value.as_ref()))).collect()
}

fn value(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => Value::Text(text.clone()),
        Some(any_value::Value::IntValue(number)) => Value::Int(*number),
        Some(any_value::Value::DoubleValue(number)) => Value::Float(*number),
        Some(any_value::Value::BoolValue(yes)) => Value::Bool(*yes),
        Some(other) => Value::Text(format!("{other:?}")),
        None => Value::Text(String::new()),
    }
}

/// OTLP sends ids as bytes, the highest first; of a wrong length they are no ids.
fn trace_id(bytes: &[u8]) -> TraceId {
    TraceId(bytes.try_into().map_or(0, u128::from_be_bytes))
}

fn span_id(bytes: &[u8]) -> SpanId {
    SpanId(bytes.try_into().map_or(0, u64::from_be_bytes))
}

#[cfg(test)]
#[path = "otlp_tests.rs"]
mod tests;
