//! One room on axum and socketioxide: everybody gets every `say`, encoded once, and the one who said it an ack.
//!
//! `cargo run -p system-wire --example chat`, then connect any Socket.IO v4 client (transport `websocket`) to the
//! printed address.

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY};
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use bytes::Bytes;
use futures_util::FutureExt;
use hyper::service::Service;
use socketioxide::SocketIo;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::SocketRef;
use socketioxide::handler::{MessageHandler, Value};
use socketioxide::socket::Socket;
use system_wire::deflate::{self, Deflate, Peer};
use system_wire::{Batch, Connection, Passage, Room, Settings, Wire, frame, upgrade};
use tokio::net::TcpListener;

/// Bytes of a message at most.
const LARGEST: usize = 1_000_000;

struct Server {
    engine: Box<dyn Fn(Wire, Request<()>) + Send + Sync>,
    deflate: Arc<Deflate>,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    use std::io::Write;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    serve(listener).await
}

pub(crate) async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let deflate = Deflate::new(deflate::Settings { threshold: 0, ..deflate::Settings::default() });
    let room = Room::new(Batch::new(), deflate.room());
    // Frames find no buffer of their own while a client is silent.
    let (service, io) = SocketIo::builder().ws_read_buffer_size(256).build_svc();
    io.ns("/", async move |socket: SocketRef| {
        let connection = socket.req_parts().extensions.get::<Weak<Connection>>().and_then(Weak::upgrade);
        let Some(connection) = connection else { return };
        socket.on("say", Say { room: Arc::clone(&room), connection: Arc::downgrade(&connection) });
        // A connection that is gone by now cannot join, and one that goes later leaves by itself.
        let _ = room.join(&connection);
    });
    // It answers at once, and goes on in a task of its own.
    let engine = Box::new(move |wire, request| {
        let _ = Service::call(&service, (wire, request)).now_or_never();
    });
    let server = Arc::new(Server { engine, deflate });
    let app = Router::new().route("/socket.io/", get(handshake)).with_state(server);
    axum::serve(listener, app).await
}

/// Answers the upgrade. A real server checks version, transport and origin here.
async fn handshake(State(server): State<Arc<Server>>, request: Request<Body>) -> Response<Body> {
    let offers = request.headers().get_all(SEC_WEBSOCKET_EXTENSIONS).iter().filter_map(|offers| offers.to_str().ok());
    let (Some(key), Ok(agreed)) = (request.headers().get(SEC_WEBSOCKET_KEY).cloned(), server.deflate.negotiate(offers))
    else {
        return Response::builder().status(StatusCode::BAD_REQUEST).body(Body::empty()).unwrap_or_default();
    };
    let peer = server.deflate.peer(agreed);
    tokio::spawn(async move { switch(&server, request, peer).await });
    upgrade::switching(&key, agreed)
}

async fn switch(server: &Server, request: Request<Body>, peer: Peer) {
    let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
    let Ok((stream, early)) = upgrade::tcp(upgraded) else { return };
    let settings = Settings {
        limit: 1 << 20,
        patience: Duration::from_secs(10),
        requests: usize::MAX,
        inspect: |payload| if payload.starts_with(b"40{") { Passage::Opens } else { Passage::Pass },
    };
    let (connection, wire) = Connection::new(Arc::new(stream), early, settings, ());
    let wire = wire.compressed(peer, LARGEST);
    // socketioxide queues the answer to CONNECT and runs the handler then: nothing of ours may be faster.
    connection.hold();
    // What socketioxide keeps as long as the socket: no headers, and no way to keep the connection.
    let request = Request::get("/socket.io/?EIO=4&transport=websocket").extension(Arc::downgrade(&connection));
    if let Ok(request) = request.body(()) {
        (server.engine)(wire, request);
    }
}

/// Runs in the reader: a handler that is spawned for each message would not keep a sender's order.
struct Say {
    room: Arc<Room>,
    connection: Weak<Connection>,
}

/// Tells this handler from socketioxide's own.
struct Synchronous;

impl MessageHandler<LocalAdapter, Synchronous> for Say {
    fn call(&self, _: Arc<Socket<LocalAdapter>>, value: Value, ack: Option<i64>) {
        let Some(said) = value.as_str() else { return };
        let said: Bytes = frame::text(&format!("42{}", &**said));
        if let (Some(ack), Some(connection)) = (ack, self.connection.upgrade()) {
            let _ = connection.send(frame::text(&format!("43{ack}[]")));
        }
        self.room.broadcast(&said);
    }
}
