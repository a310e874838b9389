//! A client that speaks Socket.IO 5 over Engine.IO 4 by hand, so that every packet on the wire is seen.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::server::{PATIENCE, Server, Stream};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Packet {
    Connected,
    Refused(Value),
    Event(String, Value),
    Ack(u64, Value),
    /// The session is over, the connection is not.
    Disconnected,
    /// The connection is over, whoever ended it.
    Closed,
}

pub(crate) struct Client {
    stream: WebSocketStream<Box<dyn Stream>>,
    /// Everything that came, in order; what a test took is gone.
    pub(crate) inbox: Vec<Packet>,
    acks: u64,
    /// Engine.IO's pings that were answered.
    pub(crate) pings: usize,
    /// The status of the node's Close frame.
    pub(crate) farewell: Option<u16>,
}

impl Client {
    /// A transport without a session.
    pub(crate) async fn dial(server: &Server) -> Client {
        Client::over(server.stream().await, server).await
    }

    /// One whose kernel takes few bytes that nobody reads.
    pub(crate) async fn dial_narrow(server: &Server) -> Client {
        Client::over(server.narrow_stream().await, server).await
    }

    async fn over(stream: Box<dyn Stream>, server: &Server) -> Client {
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", server.address);
        let (stream, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let mut client = Client { stream, inbox: Vec::new(), acks: 0, pings: 0, farewell: None };
        let open = client.frame().await.unwrap();
        assert!(open.starts_with('0'), "{open}");
        client
    }

    /// In the room `global`, from its head.
    pub(crate) async fn join(server: &Server, name: &str) -> Client {
        Client::join_with(server, json!({ "token": name })).await.0
    }

    /// And what `joined` said.
    pub(crate) async fn join_with(server: &Server, auth: Value) -> (Client, Value) {
        let mut client = Client::dial(server).await;
        client.connect(&auth).await;
        client.take(|packet| *packet == Packet::Connected).await;
        let joined = client.event("joined").await;
        (client, joined)
    }

    pub(crate) async fn connect(&mut self, auth: &Value) {
        self.write(format!("40{auth}")).await;
    }

    pub(crate) async fn write(&mut self, packet: String) {
        self.stream.send(Message::text(packet)).await.unwrap();
    }

    /// A part of a message that goes on; the error is a connection that the node has closed.
    pub(crate) async fn fragment(&mut self, first: bool, part: &str) -> Result<(), Error> {
        let kind = if first { Data::Text } else { Data::Continue };
        let frame = Frame::message(part.to_owned(), OpCode::Data(kind), false);
        self.stream.send(Message::Frame(frame)).await
    }

    /// To a node that may have closed the connection.
    pub(crate) async fn try_write(&mut self, packet: &str) {
        let _ = self.stream.send(Message::text(packet)).await;
    }

    /// Reads whatever the node says to what it has got so far, or to the end.
    pub(crate) async fn settle(&mut self) {
        const MARK: &[u8] = b"settled?";
        let _ = self.stream.send(Message::Ping(MARK.into())).await;
        let answered = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Pong(mark))) if mark == MARK => return,
                    // Of Socket.IO, in our namespace.
                    Some(Ok(Message::Text(text))) if text.starts_with('4') && !text.starts_with("44/") => {
                        self.inbox.push(parse(&text));
                    }
                    Some(Ok(_)) => {}
                    None | Some(Err(_)) => return self.inbox.push(Packet::Closed),
                }
            }
        };
        tokio::time::timeout(PATIENCE, answered).await.expect("neither an answer nor an end");
    }

    /// Asks for an ack.
    pub(crate) async fn ask(&mut self, event: &str, payload: &Value) -> u64 {
        self.acks += 1;
        let id = self.acks;
        self.write(format!("42{id}{}", json!([event, payload]))).await;
        id
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn call(&mut self, event: &str, payload: Value) -> Value {
        let id = self.ask(event, &payload).await;
        self.ack(id).await
    }

    pub(crate) async fn ack(&mut self, id: u64) -> Value {
        match self.take(|packet| matches!(packet, Packet::Ack(n, _) if *n == id)).await {
            Packet::Ack(_, answer) => answer,
            other => unreachable!("{other:?}"),
        }
    }

    pub(crate) async fn event(&mut self, name: &str) -> Value {
        match self.take(|packet| matches!(packet, Packet::Event(n, _) if n == name)).await {
            Packet::Event(_, payload) => payload,
            other => unreachable!("{other:?}"),
        }
    }

    /// The contents of the next so many messages.
    pub(crate) async fn contents(&mut self, messages: usize) -> Vec<String> {
        let mut contents = Vec::new();
        for _ in 0..messages {
            contents.push(self.event("chat-message").await["content"].as_str().unwrap().to_owned());
        }
        contents
    }

    pub(crate) async fn take(&mut self, wanted: impl Fn(&Packet) -> bool) -> Packet {
        let mut looked = 0;
        loop {
            if let Some(at) = self.inbox[looked..].iter().position(&wanted) {
                return self.inbox.remove(looked + at);
            }
            looked = self.inbox.len();
            assert_ne!(self.inbox.last(), Some(&Packet::Closed), "closed; inbox: {:?}", self.inbox);
            self.read().await;
        }
    }

    /// One more packet into the inbox.
    pub(crate) async fn read(&mut self) {
        let frame = tokio::time::timeout(PATIENCE, self.frame()).await;
        let frame = frame.unwrap_or_else(|_| panic!("nothing came; inbox: {:?}", self.inbox));
        match frame.as_deref() {
            None => self.inbox.push(Packet::Closed),
            Some("2") => {
                self.pings += 1;
                let _ = self.stream.send(Message::text("3")).await;
            }
            Some(packet) => self.inbox.push(parse(packet)),
        }
    }

    pub(crate) async fn closed(&mut self) {
        self.take(|packet| *packet == Packet::Closed).await;
    }

    /// What is below, with whatever was not read of it.
    pub(crate) fn into_stream(self) -> Box<dyn Stream> {
        self.stream.into_inner()
    }

    /// `None` at the end.
    async fn frame(&mut self) -> Option<String> {
        match self.stream.next().await? {
            Ok(Message::Text(text)) if text.as_str() == "1" => None,
            Ok(Message::Text(text)) => Some(text.as_str().to_owned()),
            Ok(Message::Close(said)) => {
                self.farewell = said.map(|said| said.code.into());
                None
            }
            _ => None,
        }
    }
}

fn parse(packet: &str) -> Packet {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| panic!("{packet}"));
    let (kind, rest) = packet.split_at(2);
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    match kind {
        "40" => Packet::Connected,
        "41" => Packet::Disconnected,
        "44" => Packet::Refused(json(rest)),
        "43" => Packet::Ack(rest[..digits].parse().unwrap(), json(&rest[digits..])[0].take()),
        "42" => {
            let mut arguments = json(rest);
            let payload = arguments[1].take();
            Packet::Event(arguments[0].as_str().unwrap().to_owned(), payload)
        }
        _ => panic!("unexpected packet {packet}"),
    }
}
