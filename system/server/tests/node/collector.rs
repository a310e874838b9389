//! A collector: takes OTLP over HTTP/protobuf and keeps the spans.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::server::PATIENCE;

#[derive(Clone, Default)]
pub(crate) struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    instances: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Collector {
    pub(crate) async fn start() -> (Collector, String) {
        let collector = Collector::default();
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let serving = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        (collector, endpoint)
    }

    async fn serve(self, mut stream: TcpStream) {
        while let Some(body) = request(&mut stream).await {
            let export = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
            for resource in export.resource_spans {
                let attributes = resource.resource.unwrap().attributes.into_iter();
                self.instances.lock().unwrap().extend(attributes.map(|pair| (pair.key, text(pair.value))));
                let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                self.spans.lock().unwrap().extend(spans);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        }
    }

    /// Every span so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    pub(crate) fn resource(&self, key: &str) -> String {
        self.instances.lock().unwrap().get(key).cloned().unwrap_or_default()
    }

    /// The span of that name which holds for that message.
    pub(crate) async fn span(&self, name: &str, message: &str) -> Span {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let found = self.spans().into_iter().find(|s| s.name == name && attribute(s, "message.id") == message);
            if let Some(span) = found {
                return span;
            }
            let names: Vec<_> = self.spans().into_iter().map(|span| span.name).collect();
            assert!(tokio::time::Instant::now() < deadline, "no {name} of {message} among {names:?}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

pub(crate) fn attribute(span: &Span, key: &str) -> String {
    span.attributes.iter().find(|pair| pair.key == key).map(|pair| text(pair.value.clone())).unwrap_or_default()
}

fn text(value: Option<opentelemetry_proto::tonic::common::v1::AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}

async fn request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    assert!(text.starts_with("post /v1/traces "), "{text}");
    let length: usize = text.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
    while bytes.len() < head + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    Some(bytes.split_off(head))
}
