//! A node that does what the test says, on a real WebSocket; and a user that waits for what the client tells.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use system_client::{Client, Config, Event, What, uuids};
use system_protocol::{Offset, Room};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// Far above what anything here takes, so that only what never comes fails.
const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

pub(crate) fn room(name: &str) -> Room {
    Room::parse(name).unwrap()
}

pub(crate) fn offset(seq: u64) -> Offset {
    Offset::new(1, seq).unwrap()
}

pub(crate) fn joined(room: &str, offset_seq: u64, head: u64, recovered: bool) -> Value {
    json!({ "room": room, "offset": offset(offset_seq), "head": offset(head), "recovered": recovered })
}

pub(crate) fn message(room: &str, seq: u64) -> Value {
    json!({ "id": format!("m{seq}"), "room": room, "sender": "u", "content": format!("{seq}"), "timestamp": 1,
            "offset": offset(seq) })
}

/// Listens; the test accepts.
pub(crate) struct Node {
    listener: TcpListener,
}

impl Node {
    pub(crate) async fn bind() -> Node {
        Node { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.listener.local_addr().unwrap())
    }

    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) = within("a connection", self.listener.accept()).await.unwrap();
        Peer { socket: within("a WebSocket", accept_async(stream)).await.unwrap() }
    }

    /// Accepts, and lets in.
    pub(crate) async fn welcome(&self) -> (Peer, Value) {
        let mut peer = self.accept().await;
        let auth = peer.handshake().await;
        peer.raw(r#"40{"sid":"s"}"#).await;
        (peer, auth)
    }

    /// Accepts, lets in, and joins an empty room.
    pub(crate) async fn settle(&self, room: &str) -> Peer {
        let (mut peer, _) = self.welcome().await;
        peer.say("joined", joined(room, 0, 0, true)).await;
        peer
    }
}

/// One connection, seen from the node. Dropping it cuts the connection without a goodbye.
pub(crate) struct Peer {
    socket: WebSocketStream<TcpStream>,
}

#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) ack: u64,
    pub(crate) event: String,
    pub(crate) payload: Value,
}

impl Peer {
    /// Everything up to the client's CONNECT; returns its auth.
    pub(crate) async fn handshake(&mut self) -> Value {
        self.handshake_with(60_000, 60_000).await
    }

    pub(crate) async fn handshake_with(&mut self, ping_interval: u64, ping_timeout: u64) -> Value {
        let open = json!({ "sid": "s", "upgrades": [], "pingInterval": ping_interval, "pingTimeout": ping_timeout,
                           "maxPayload": 1_000_000 });
        self.raw(&format!("0{open}")).await;
        let connect = self.frame().await;
        serde_json::from_str(connect.strip_prefix("40").expect(&connect)).unwrap()
    }

    pub(crate) async fn frame(&mut self) -> String {
        match within("a frame of the client", self.socket.next()).await {
            Some(Ok(Message::Text(text))) => text.to_string(),
            other => panic!("the client sent {other:?}"),
        }
    }

    /// The next event, whose ack id must be there.
    pub(crate) async fn hear(&mut self) -> Heard {
        let frame = self.frame().await;
        let event = frame.strip_prefix("42").expect(&frame);
        let (ack, json) = event.split_at(event.find('[').unwrap());
        let (event, payload) = serde_json::from_str(json).unwrap();
        Heard { ack: ack.parse().unwrap(), event, payload }
    }

    pub(crate) async fn raw(&mut self, frame: &str) {
        self.socket.send(Message::text(frame)).await.unwrap();
    }

    pub(crate) async fn say(&mut self, event: &str, payload: Value) {
        self.raw(&format!("42{}", json!([event, payload]))).await;
    }

    pub(crate) async fn answer(&mut self, heard: &Heard, answer: Value) {
        self.raw(&format!("43{}{}", heard.ack, json!([answer]))).await;
    }

    pub(crate) async fn ack(&mut self, heard: &Heard, seq: u64) {
        let sent = json!({ "id": heard.payload["id"], "offset": offset(seq), "timestamp": 1 });
        self.answer(heard, sent).await;
    }

    /// Waits until the client has gone, and returns what it said before.
    pub(crate) async fn gone(mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(Ok(message)) = within("the client's end of the connection", self.socket.next()).await {
            if let Message::Text(text) = message {
                said.push(text.to_string());
            }
        }
        said
    }
}

/// A client and what it has told so far.
pub(crate) struct User {
    pub(crate) client: Client,
    pub(crate) events: UnboundedReceiver<Event>,
    told: Vec<String>,
}

/// Short times, so that a test of a timeout takes no time.
pub(crate) fn quick(nodes: &[&Node]) -> Config {
    let urls: Vec<String> = nodes.iter().map(|node| node.url()).collect();
    let mut config = Config::new(&urls, "token").unwrap();
    config.backoff = (Duration::from_millis(5), Duration::from_millis(20));
    config
}

impl User {
    pub(crate) fn start(config: Config) -> User {
        let (client, events) = Client::start(config, uuids());
        User { client, events, told: Vec::new() }
    }

    /// In an empty room of that node, and told so.
    pub(crate) async fn start_in(node: &Node, name: &str) -> (User, Peer) {
        let mut user = User::start(quick(&[node]));
        user.client.join(room(name), None);
        let peer = node.settle(name).await;
        user.joined().await;
        (user, peer)
    }

    /// In two rooms of it.
    pub(crate) async fn start_in_both(node: &Node, [first, second]: [&str; 2]) -> (User, Peer) {
        let (mut user, mut peer) = User::start_in(node, first).await;
        user.client.join(room(second), None);
        let join = peer.hear().await;
        peer.answer(&join, joined(second, 0, 0, true)).await;
        user.joined().await;
        (user, peer)
    }

    async fn joined(&mut self) {
        self.until(|what| matches!(what, What::Joined { .. }).then_some(())).await;
    }

    pub(crate) fn send(&self, to: &str, content: &str) -> String {
        self.client.send(&room(to), content, None).unwrap().to_string()
    }

    pub(crate) async fn event(&mut self) -> Event {
        let next = timeout(DEADLINE, self.events.recv()).await;
        let event = next.ok().flatten().unwrap_or_else(|| panic!("nothing more is told after {:#?}", self.told));
        self.told.push(format!("{:?}", event.what));
        event
    }

    /// Skips what is told until `pick` finds what it looks for.
    pub(crate) async fn until<T>(&mut self, pick: impl Fn(&What) -> Option<T>) -> T {
        loop {
            if let Some(found) = pick(&self.event().await.what) {
                return found;
            }
        }
    }

    /// The next `n` receipts as (offset's sequence, replay, hidden).
    pub(crate) async fn receipts(&mut self, n: usize) -> Vec<(u64, bool, bool)> {
        let mut receipts = Vec::new();
        while receipts.len() < n {
            receipts.push(
                self.until(|what| match what {
                    What::Received { message, replay, hidden } => Some((message.offset?.seq(), *replay, *hidden)),
                    _ => None,
                })
                .await,
            );
        }
        receipts
    }
}
