//! An echo server on axum and tungstenite that compresses: the stream layer under a WebSocket server that knows nothing
//! of it. What conformance suites are run against.
//!
//! `cargo run -p system-wire --example echo` prints the address.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY};
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use system_wire::deflate::{self, Deflate, Peer};
use system_wire::{Connection, Passage, Settings, upgrade};
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Bytes of a message at most: what conformance suites send, and a little more.
const LARGEST: usize = 32 << 20;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    use std::io::Write;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "ws://{}", listener.local_addr()?)?;
    let deflate = Deflate::new(deflate::Settings { threshold: 0, ..deflate::Settings::default() });
    axum::serve(listener, Router::new().fallback(get(handshake)).with_state(deflate)).await
}

async fn handshake(State(deflate): State<Arc<Deflate>>, request: Request<Body>) -> Response<Body> {
    let offers = request.headers().get_all(SEC_WEBSOCKET_EXTENSIONS).iter().filter_map(|offers| offers.to_str().ok());
    let (Some(key), Ok(agreed)) = (request.headers().get(SEC_WEBSOCKET_KEY).cloned(), deflate.negotiate(offers)) else {
        return Response::builder().status(StatusCode::BAD_REQUEST).body(Body::empty()).unwrap_or_default();
    };
    tokio::spawn(echo(request, deflate.peer(agreed)));
    upgrade::switching(&key, agreed)
}

async fn echo(request: Request<Body>, peer: Peer) {
    let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
    let Ok((stream, early)) = upgrade::tcp(upgraded) else { return };
    let settings = Settings {
        limit: 4 * LARGEST,
        patience: Duration::from_secs(30),
        requests: usize::MAX,
        inspect: |_| Passage::Pass,
    };
    let (_connection, wire) = Connection::new(Arc::new(stream), early, settings, ());
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
    let mut socket = WebSocketStream::from_raw_socket(wire.compressed(peer, LARGEST), Role::Server, Some(config)).await;
    while let Some(Ok(message)) = socket.next().await {
        let answered = match message {
            Message::Text(_) | Message::Binary(_) => socket.send(message).await,
            _ => socket.flush().await,
        };
        if answered.is_err() {
            break;
        }
    }
}
