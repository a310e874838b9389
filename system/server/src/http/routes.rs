//! The paths of contract.md, and what surrounds them: CORS and the request limit.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{any, get};
use serde_json::json;
use tokio::time::Instant;

use super::strict::strict;
use super::{Crowd, HttpLimit, Origins, Place, Proxies, page};
use crate::edge::unix_ms;
use crate::socket::gate::Gate;
use crate::telemetry::Metrics;

/// Whether this node should get clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness {
    /// Why not.
    pub(crate) unready: Option<String>,
    /// Shards that cannot ack now. They alone take no node out of the load balancer: one lost primary would take all.
    pub(crate) degraded: Vec<String>,
}

pub(crate) struct Http {
    pub(crate) gate: Arc<Gate>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Box<dyn Fn() -> Readiness + Send + Sync>,
    pub(crate) limit: HttpLimit,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) proxies: Arc<Proxies>,
    pub(crate) origins: Origins,
}

type Shared = State<Arc<Http>>;

pub(crate) fn router(http: Http) -> Router {
    let http = Arc::new(http);
    let limited = Router::new().route("/", get(page::index)).route(page::FILES, get(page::asset));
    let limited = limited.fallback(|| async { StatusCode::NOT_FOUND });
    let limited = limited.layer(from_fn_with_state(Arc::clone(&http), limit));
    Router::new()
        .route("/socket.io", any(handshake))
        .route("/socket.io/", any(handshake))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .merge(limited)
        .layer(from_fn_with_state(Arc::clone(&http), cors))
        .layer(from_fn(strict))
        .with_state(http)
}

async fn handshake(State(http): Shared, ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request) -> Response {
    let address = http.proxies.address(peer.ip(), request.headers());
    let own = request.extensions_mut().remove::<Arc<Place>>();
    let place = if address == peer.ip() { own } else { http.crowd.forwarded(address).map(Arc::new) };
    http.gate.handshake(request, place)
}

async fn health() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], Json(json!({ "status": "healthy", "timestamp": unix_ms() })))
}

async fn ready(State(http): Shared) -> impl IntoResponse {
    let Readiness { unready, degraded } = (http.readiness)();
    let (status, body) = match unready {
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "unready", "reason": reason })),
        None if degraded.is_empty() => (StatusCode::OK, json!({ "status": "ready" })),
        None => (StatusCode::OK, json!({ "status": "ready", "degraded": degraded })),
    };
    (status, [(CACHE_CONTROL, "no-store")], Json(body))
}

async fn metrics(State(http): Shared) -> Response {
    match http.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn limit(
    State(http): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if page::is_a_file(request.uri().path()) {
        return next.run(request).await;
    }
    let verdict = http.limit.admit(Instant::now(), http.proxies.address(peer.ip(), request.headers()));
    let mut response = if verdict.allowed { next.run(request).await } else { too_many() };
    verdict.write(response.headers_mut());
    response
}

fn too_many() -> Response {
    (StatusCode::TOO_MANY_REQUESTS, Json(json!({ "error": "Too many requests" }))).into_response()
}

async fn cors(State(http): Shared, request: Request, next: Next) -> Response {
    let asked = request.headers().clone();
    if request.method() == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        http.origins.preflight(&asked, response.headers_mut());
        return response;
    }
    let mut response = next.run(request).await;
    http.origins.answer(&asked, response.headers_mut());
    response
}
