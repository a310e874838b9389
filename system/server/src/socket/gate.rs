//! The handshake: who may become a WebSocket, and the switch from HTTP to one.
//!
//! Our own, because socketioxide's would answer a polling request otherwise than the contract says, keeps the whole
//! request alive with the socket, and leaves nothing between itself and the stream.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use serde_json::json;
use system_protocol::limits;
use system_wire::deflate::{Agreement, Deflate, Peer};
use system_wire::{Connection, Locked, Settings, Transport, Wire, upgrade};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::conduct::JoinRate;
use super::connect::Line;
use super::connect_error;
use crate::http::{Origins, Place};
use crate::phase::{Life, Phase};
use crate::telemetry::{Metrics, add};
use crate::write_timeout::WriteTimeout;

/// What socketioxide reads and writes; counted as a connection as long as it has it.
pub(crate) type Stream = Wire<Counted>;
/// Hands a stream to socketioxide. False when it does not want it.
pub(crate) type Accept = Box<dyn Fn(Stream, Request<()>) -> bool + Send + Sync>;

/// Everything that a handshake needs.
pub(crate) struct Gate {
    /// Whether `/ready` answers 200: a proxy that asks nobody for it takes a refused handshake to another node.
    pub(crate) open: Box<dyn Fn() -> bool + Send + Sync>,
    pub(crate) accept: Accept,
    pub(crate) origins: Origins,
    /// How long a peer may take no bytes.
    pub(crate) patience: Duration,
    /// Bytes that may wait for it.
    pub(crate) send_buffer: usize,
    pub(crate) joins: JoinRate,
    /// `None`: no compression.
    pub(crate) deflate: Option<Arc<Deflate>>,
    pub(crate) life: Life,
    pub(crate) metrics: Arc<Metrics>,
}

/// A refusal in Engine.IO's words.
struct No(StatusCode, u8, &'static str);

const UNKNOWN_TRANSPORT: No = No(StatusCode::BAD_REQUEST, 0, "Transport unknown");
const UNKNOWN_SESSION: No = No(StatusCode::BAD_REQUEST, 1, "Session ID unknown");
const BAD_METHOD: No = No(StatusCode::BAD_REQUEST, 2, "Bad handshake method");
const BAD_REQUEST: No = No(StatusCode::BAD_REQUEST, 3, "Bad request");
/// RFC 6455, section 9.1.
const BAD_EXTENSIONS: No = No(StatusCode::BAD_REQUEST, 3, "Malformed Sec-WebSocket-Extensions");
const FORBIDDEN: No = No(StatusCode::FORBIDDEN, 4, "Forbidden");
const UNSUPPORTED: No = No(StatusCode::BAD_REQUEST, 5, "Unsupported protocol version");
const NOT_READY: No = No(StatusCode::SERVICE_UNAVAILABLE, 3, "Not ready");
const CROWDED: No = No(StatusCode::TOO_MANY_REQUESTS, 3, "Too many connections from this address");
const DRAINING: No = No(StatusCode::SERVICE_UNAVAILABLE, 3, "Draining");

impl Gate {
    /// `place`: among the connections of its address; `None` when there is no more.
    pub(crate) fn handshake(self: &Arc<Self>, request: Request<Body>, place: Option<Arc<Place>>) -> Response<Body> {
        let Some(place) = place else {
            add(&self.metrics.crowded);
            return CROWDED.response();
        };
        match self.check(&request) {
            Ok((key, agreed)) => {
                let gate = Arc::clone(self);
                tokio::spawn(async move { gate.switch(request, place, agreed).await });
                upgrade::switching(&key, agreed)
            }
            Err(no) => no.response(),
        }
    }

    /// The key to be answered and the compression, when everything is as it should be.
    fn check(&self, request: &Request<Body>) -> Result<(HeaderValue, Option<Agreement>), No> {
        let asked = |name: &str| {
            let pairs = request.uri().query().unwrap_or_default().split('&');
            pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        if !self.origins.allow(request.headers()) {
            return Err(FORBIDDEN);
        }
        if asked("transport") != Some("websocket") {
            return Err(UNKNOWN_TRANSPORT);
        }
        if asked("EIO") != Some("4") {
            return Err(UNSUPPORTED);
        }
        if asked("sid").is_some() {
            return Err(UNKNOWN_SESSION);
        }
        if request.method() != Method::GET {
            return Err(BAD_METHOD);
        }
        if self.life.phase() != Phase::Running {
            return Err(DRAINING);
        }
        if !(self.open)() {
            return Err(NOT_READY);
        }
        let key = websocket_key(request).ok_or(BAD_REQUEST)?;
        Ok((key, self.negotiate(request.headers())?))
    }

    fn negotiate(&self, headers: &HeaderMap) -> Result<Option<Agreement>, No> {
        let Some(deflate) = &self.deflate else { return Ok(None) };
        let fields = headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().map(HeaderValue::to_str);
        let fields = fields.collect::<Result<Vec<_>, _>>().map_err(|_| BAD_EXTENSIONS)?;
        deflate.negotiate(fields).map_err(|_| BAD_EXTENSIONS)
    }

    async fn switch(&self, request: Request<Body>, place: Arc<Place>, agreed: Option<Agreement>) {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let (transport, early): (Arc<dyn Transport>, _) = match upgrade::stream::<WriteTimeout<TcpStream>>(upgraded) {
            Ok((stream, early)) => (Arc::new(stream.into_inner()), early),
            Err(upgraded) => match upgrade::stream::<WriteTimeout<TlsStream<TcpStream>>>(upgraded) {
                Ok((stream, early)) => (Arc::new(Locked::new(stream.into_inner())), early),
                Err(_) => return tracing::error!("a connection that is neither TCP nor TLS was upgraded"),
            },
        };
        let settings = Settings {
            limit: self.send_buffer,
            patience: self.patience,
            requests: REQUESTS,
            inspect: connect_error::inspect,
        };
        let counted = Counted::new(&self.metrics, place);
        let (connection, wire) = Connection::new(transport, early, settings, counted);
        let peer = self.deflate.as_ref().map_or_else(Peer::default, |deflate| deflate.peer(agreed));
        let wire = wire.compressed(peer, limits::PAYLOAD_BYTES);
        (self.accept)(wire, engine_request(Line::new(&connection, self.joins)));
    }
}

/// So many requests may wait for a session before its stream is read no further: the client's own kernel then holds
/// back the rest.
const REQUESTS: usize = 512;

/// One connection of the metrics, and of its address.
pub(crate) struct Counted(Arc<Metrics>, #[expect(dead_code, reason = "it is held")] Arc<Place>);

impl Counted {
    fn new(metrics: &Arc<Metrics>, place: Arc<Place>) -> Self {
        add(&metrics.connections_total);
        metrics.connections.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(metrics), place)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What socketioxide sees of the request, and keeps as long as the socket: the protocol, a way to the connection and its
/// account, no headers.
fn engine_request(line: Arc<Line>) -> Request<()> {
    let uri = Uri::from_static("/socket.io/?EIO=4&transport=websocket");
    Request::get(uri).extension(line).body(()).expect("the URI is constant")
}

/// RFC 6455, section 4.2.1; what may be given once is not given twice (section 11.3).
fn websocket_key(request: &Request<Body>) -> Option<HeaderValue> {
    let headers = request.headers();
    let only = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())
    };
    let is =
        |name, wanted: &str| only(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(wanted.as_bytes()));
    let mut options = headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let upgrade = options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
    let upgrade = upgrade && request.version() >= Version::HTTP_11;
    (upgrade && is(UPGRADE, "websocket") && is(SEC_WEBSOCKET_VERSION, "13")).then_some(())?;
    only(SEC_WEBSOCKET_KEY).filter(|key| is_nonce(key.as_bytes())).cloned()
}

/// 16 bytes in base64.
fn is_nonce(key: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.strip_suffix(b"==").is_some_and(|digits| digits.len() == 22 && digits.iter().all(digit))
}

impl No {
    fn response(&self) -> Response<Body> {
        let No(status, code, message) = self;
        let body = json!({ "code": code, "message": message }).to_string();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = *status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}
