//! A Socket.IO client that knows nothing of ours: Engine.IO 4 and Socket.IO 5 spelled out over a plain WebSocket, the
//! way any stock client speaks. The promise must not hang on what `system-client` does beyond the protocol.
//!
//! What it does and sees goes into the stage's history, so that the same checkers judge it.

use std::{collections::BTreeMap, time::Duration};

use chaos_observe::{Clock, Content, Offset, Op, Recorder};
use serde_json::{Value, json};

use crate::{plain_socket::PlainSocket, stage::Stage, wait::PATIENCE};

/// A chat node's door, and where is written down who goes through it.
#[derive(Clone)]
pub(crate) struct Door {
    /// `host:port`
    address: String,
    node: String,
    clock: Clock,
    /// `None`: what is seen behind this door is nobody's history.
    recorder: Option<Recorder>,
}

/// One connection in one room. It answers pings, collects what arrives, and sends one message at a time.
pub(crate) struct StockClient {
    socket: PlainSocket,
    door: Door,
    name: String,
    room: String,
    next_ack: u64,
    /// What `joined` said.
    pub(crate) joined: Value,
    /// Every `chat-message` in the order of arrival, as the node sent it.
    pub(crate) received: Vec<Value>,
    answers: BTreeMap<u64, Value>,
}

impl Stage {
    /// The chat node's door, counted from 1.
    pub(crate) fn door(&self, nth: usize) -> Door {
        let node = format!("chat-{nth}");
        Door { address: self.node(nth).to_owned(), node, clock: self.clock, recorder: Some(self.recorder.clone()) }
    }
}

impl Door {
    /// Of a node beside the stage.
    pub(crate) fn beside(address: &str) -> Door {
        Door { address: address.to_owned(), node: address.to_owned(), clock: Clock::start(), recorder: None }
    }

    fn record(&self, user: &str, op: Op) {
        if let Some(recorder) = &self.recorder {
            recorder.record(self.clock.now(), user, op);
        }
    }
}

impl StockClient {
    /// Connects, joins `room` as `name`, and returns once the node has said `joined`.
    pub(crate) async fn join(door: &Door, name: &str, room: &str, offset: Option<&str>) -> Result<StockClient, String> {
        let socket = PlainSocket::open(&door.address).await;
        let socket = socket.map_err(|error| format!("connect to {}: {error}", door.node))?;
        let mut client = StockClient {
            socket,
            door: door.clone(),
            name: name.to_owned(),
            room: room.to_owned(),
            next_ack: 0,
            joined: Value::Null,
            received: Vec::new(),
            answers: BTreeMap::new(),
        };
        let mut auth = json!({ "token": name, "room": room });
        if let Some(offset) = offset {
            auth["offset"] = json!(offset);
        }
        client.socket.write(format!("40{auth}")).await?;
        client.record(Op::Up { node: door.node.clone() });
        client.record(Op::Join { room: room.to_owned(), offset: offset.map(place) });
        let joined = async {
            while client.joined.is_null() {
                client.next().await?;
            }
            Ok::<(), String>(())
        };
        tokio::time::timeout(PATIENCE, joined).await.unwrap_or_else(|_| Err(format!("no answer of {}", door.node)))?;
        Ok(client)
    }

    /// Where to come back: the last offset received, else that of `joined`.
    pub(crate) fn position(&self) -> String {
        let last = self.received.last().unwrap_or(&self.joined);
        last["offset"].as_str().unwrap_or_default().to_owned()
    }

    /// Sends one message and waits for its ack; `None` when there is none in `patience` (send it again, same id).
    pub(crate) async fn send(&mut self, id: &str, attempt: u32, patience: Duration) -> Result<Option<Value>, String> {
        let content = format!("{} says {id}", self.name);
        let submit = json!({ "id": id, "content": content, "room": self.room });
        let (message, room) = (id.to_owned(), self.room.clone());
        let (intended, content) = (self.door.clock.now(), Content::of(&content));
        self.record(Op::Send { message: message.clone(), room, attempt, intended, content, canary: false });
        let answered = async {
            let ack = self.ask("chat-message", &submit).await?;
            while !self.has_answer(ack) {
                self.next().await?;
            }
            Ok(self.answers.remove(&ack))
        };
        let answered = tokio::time::timeout(patience, answered).await.unwrap_or(Ok(None));
        self.record(outcome(message, &answered));
        answered.map(|answer| answer.filter(|answer| answer["offset"].is_string()))
    }

    /// Asks for something, and for an answer with the number that it returns. Nobody's history.
    pub(crate) async fn ask(&mut self, event: &str, payload: &Value) -> Result<u64, String> {
        let ack = self.next_ack;
        self.next_ack += 1;
        self.socket.write(format!("42{ack}{}", json!([event, payload]))).await?;
        Ok(ack)
    }

    /// What was answered, as soon as it is there.
    pub(crate) async fn answer(&mut self, ack: u64, patience: Duration) -> Option<Value> {
        let answered = async {
            while !self.has_answer(ack) {
                self.next().await.ok()?;
            }
            self.answers.remove(&ack)
        };
        tokio::time::timeout(patience, answered).await.ok().flatten()
    }

    pub(crate) fn has_answer(&self, ack: u64) -> bool {
        self.answers.contains_key(&ack)
    }

    /// Reads on until `done` says so of what was received, at most for `patience`; whether it was.
    pub(crate) async fn read_until(&mut self, patience: Duration, done: impl Fn(&[Value]) -> bool) -> bool {
        let reading = async {
            while !done(&self.received) {
                self.next().await?;
            }
            Ok::<(), String>(())
        };
        matches!(tokio::time::timeout(patience, reading).await, Ok(Ok(())))
    }

    /// Reads for as long as the connection lasts, at most until everything up to `offset` is there.
    pub(crate) async fn read_up_to(&mut self, offset: &str, patience: Duration) -> bool {
        let reached = |received: &[Value]| received.iter().any(|message| message["offset"].as_str() >= Some(offset));
        self.read_until(patience, reached).await
    }

    /// Cuts the connection without a word, and says where to come back.
    pub(crate) fn cut(self, why: &str) -> String {
        self.record(Op::Down { why: why.to_owned() });
        self.position()
    }

    /// Takes one frame.
    async fn next(&mut self) -> Result<(), String> {
        let packet = self.socket.packet().await?;
        match packet.as_str() {
            text if text.starts_with("44") => return Err(format!("refused: {text}")),
            text if text.starts_with("42") => self.event(&text[2..])?,
            text if text.starts_with("43") => {
                let json = text.find('[').ok_or_else(|| format!("an ack without answer: {text}"))?;
                let ack = text[2..json].parse().map_err(|_| format!("an ack without number: {text}"))?;
                let answer: Vec<Value> = serde_json::from_str(&text[json..]).map_err(|error| error.to_string())?;
                self.answers.insert(ack, answer.into_iter().next().unwrap_or_default());
            }
            _ => {}
        }
        Ok(())
    }

    fn event(&mut self, json: &str) -> Result<(), String> {
        let event: Vec<Value> = serde_json::from_str(json).map_err(|error| format!("{json}: {error}"))?;
        let Some(said) = event.get(1) else { return Ok(()) };
        match event[0].as_str() {
            Some("joined") => {
                let (offset, head) = (of(said, "offset"), of(said, "head"));
                let recovered = said["recovered"] == true;
                self.record(Op::JoinOk { room: self.room.clone(), offset, head, recovered });
                self.joined = said.clone();
            }
            Some("chat-message") => {
                self.record(receipt(said, of(&self.joined, "head")));
                self.received.push(said.clone());
            }
            _ => {}
        }
        Ok(())
    }

    fn record(&self, op: Op) {
        self.door.record(&self.name, op);
    }
}

/// Reads a room's log from `first` to the head that the node names; it is written down as the final read.
pub(crate) async fn read_back(door: &Door, room: &str, first: &str, patience: Duration) -> Result<(), String> {
    let silent = Door { recorder: None, ..door.clone() };
    let reader = format!("reader.{room}");
    let mut client = StockClient::join(&silent, &reader, room, Some(first)).await?;
    let Some(head) = client.joined["head"].as_str().map(ToOwned::to_owned) else { return Err("no head".to_owned()) };
    let mut read = 0;
    // On a busy machine a long log takes long; it may as long as it goes on.
    while head.as_str() > first && !client.read_up_to(&head, patience).await {
        if client.received.len() == read {
            return Err(format!("{room} ends before {head}"));
        }
        read = client.received.len();
    }
    for said in &client.received {
        let (message, sender) = (text(said, "id"), text(said, "sender"));
        let (offset, content) = (of(said, "offset").unwrap_or_default(), Content::of(&text(said, "content")));
        door.record(&reader, Op::Final { room: room.to_owned(), message, sender, offset, content });
    }
    door.record(&reader, Op::FinalEnd { room: room.to_owned(), head: place(&head) });
    Ok(())
}

fn outcome(message: String, answered: &Result<Option<Value>, String>) -> Op {
    match answered {
        Ok(Some(answer)) if answer["offset"].is_string() => Op::SendOk { message, offset: of(answer, "offset") },
        Ok(Some(refused)) => Op::SendFail { message, code: text(&refused["error"], "code") },
        Ok(None) => Op::SendInfo { message, why: "timed out".to_owned() },
        Err(why) => Op::SendInfo { message, why: why.clone() },
    }
}

fn receipt(said: &Value, head: Option<Offset>) -> Op {
    let offset = of(said, "offset");
    Op::Recv {
        room: text(said, "room"),
        message: text(said, "id"),
        sender: text(said, "sender"),
        offset,
        content: Content::of(&text(said, "content")),
        replay: offset <= head,
        hidden: false,
    }
}

fn text(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap_or_default().to_owned()
}

fn of(said: &Value, field: &str) -> Option<Offset> {
    said[field].as_str().map(place)
}

fn place(offset: &str) -> Offset {
    offset.parse().unwrap_or_else(|error| panic!("{error}"))
}
