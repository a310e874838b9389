//! Stock socketioxide, as a chat server is usually written on it: its own upgrade, its own rooms, its own broadcast.

use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::serve::ListenerExt;
use serde::{Deserialize, Serialize};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, Extension, SocketRef};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Auth {
    token: String,
    room: String,
}

#[derive(Deserialize)]
struct Room {
    room: String,
}

#[derive(Deserialize)]
struct Said {
    content: String,
    id: String,
    room: String,
}

#[derive(Serialize)]
struct Joined<'a> {
    room: &'a str,
    recovered: bool,
}

/// As long as one of ours.
#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    room: &'a str,
    sender: &'a str,
    content: &'a str,
    timestamp: u64,
    offset: &'a str,
}

#[derive(Serialize)]
struct Sent<'a> {
    id: &'a str,
    offset: &'a str,
    timestamp: u64,
}

#[derive(Clone)]
struct Name(String);

/// Until the standard input ends, which ends the process.
pub(super) fn play() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (layer, io) = SocketIo::builder().ping_interval(Duration::from_hours(1)).build_layer();
        io.ns("/", connect);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(io::stdout(), "{}", listener.local_addr()?)?;
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, axum::Router::new().layer(layer)).await
    })
}

async fn connect(socket: SocketRef, Data(auth): Data<Auth>) {
    socket.extensions.insert(Name(auth.token));
    socket.join(auth.room.clone());
    let _ = socket.emit("joined", &Joined { room: &auth.room, recovered: false });
    socket.on("join", async |socket: SocketRef, Data::<Room>(Room { room }), ack: AckSender| {
        socket.join(room.clone());
        let _ = ack.send(&Joined { room: &room, recovered: false });
    });
    socket.on("chat-message", say);
}

async fn say(socket: SocketRef, Extension(Name(sender)): Extension<Name>, Data(said): Data<Said>, ack: AckSender) {
    static STORED: AtomicU64 = AtomicU64::new(0);
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let offset = format!("{timestamp:012x}{:08x}", STORED.fetch_add(1, Ordering::Relaxed));
    let Said { content, id, room } = said;
    let message = Message { id: &id, room: &room, sender: &sender, content: &content, timestamp, offset: &offset };
    let _ = socket.within(room.clone()).emit("chat-message", &message).await;
    let _ = ack.send(&Sent { id: &id, offset: &offset, timestamp });
}
