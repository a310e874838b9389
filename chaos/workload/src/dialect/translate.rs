//! One connection to a server of another dialect: frames of the contract in, its frames out, and back.
//!
//! The client numbers its acks from 0; the join that the contract puts into CONNECT and this server wants as an event
//! gets a number that no client reaches, and the client is let in when it is answered.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};
use system_client::{Frames, Translator};
use system_protocol::{Code, MessageId, Room, event};

use super::{
    Ask, Dialect,
    fill::{Marks, fill},
};

/// Of the join that follows CONNECT.
const FIRST_JOIN: u64 = u32::MAX as u64;
/// An event that means nothing to the client: a notice, or a message that is not ours.
const NOTICE: &str = r#"42["notice"]"#;

pub(super) struct Translation {
    dialect: Dialect,
    user: String,
    /// The room of CONNECT, until the server has let us in.
    first: Option<String>,
    asked: HashMap<u64, Asked>,
    /// Joins that an event answers, the oldest first.
    joining: VecDeque<u64>,
    /// What came before the room of CONNECT was joined.
    early: Option<Vec<String>>,
}

/// What an ack will answer.
enum Asked {
    Join { room: String },
    Leave { room: String },
    Send { id: String },
}

impl Translation {
    pub(super) fn new(dialect: Dialect) -> Translation {
        let (user, first) = (String::new(), None);
        Translation { dialect, user, first, asked: HashMap::new(), joining: VecDeque::new(), early: None }
    }

    /// `0`, `2` or `3`, the ack's number, and the rest, as the server's namespace wants it.
    fn frame(&self, kind: char, ack: Option<u64>, json: &str) -> String {
        let namespace = match self.dialect.connect.namespace.as_str() {
            "/" => String::new(),
            other => format!("{other},"),
        };
        let ack = ack.map(|ack| ack.to_string()).unwrap_or_default();
        format!("4{kind}{namespace}{ack}{json}")
    }

    fn ask(&self, ask: &Ask, ack: u64, marks: &Marks<'_>) -> String {
        let event = [json!(ask.event)].into_iter();
        let all: Value = event.chain(ask.arguments.iter().map(|argument| fill(argument, marks))).collect();
        self.frame('2', Some(ack), &all.to_string())
    }

    fn join(&mut self, room: String, ack: u64, frames: &mut Frames) {
        let Some(join) = self.dialect.join.clone() else {
            let why = "this server knows no join: a connection is in the room that it named";
            return frames.to_client.push(answer(ack, &refusal(why)));
        };
        frames.to_node.push(self.ask(&join.ask, ack, &[("user", &self.user), ("room", &room)]));
        if join.joined.is_some() {
            self.joining.push_back(ack);
        }
        self.asked.insert(ack, Asked::Join { room });
    }

    fn leave(&mut self, room: String, ack: u64, frames: &mut Frames) {
        let Some(leave) = &self.dialect.leave else {
            return frames.to_client.push(answer(ack, &refusal("this server knows no leave")));
        };
        frames.to_node.push(self.ask(leave, ack, &[("user", &self.user), ("room", &room)]));
        self.asked.insert(ack, Asked::Leave { room });
    }

    fn send(&mut self, payload: &Value, ack: u64, frames: &mut Frames) {
        let (room, id, content) = (text(payload, "/room"), text(payload, "/id"), text(payload, "/content"));
        let content = if self.dialect.tags() { format!("{room} {id} {content}") } else { content };
        let marks = [("user", self.user.as_str()), ("room", &room), ("id", &id), ("text", &content)];
        frames.to_node.push(self.ask(&self.dialect.send.ask, ack, &marks));
        self.asked.insert(ack, Asked::Send { id });
    }

    fn connect(&mut self, auth: &str) -> Frames {
        let auth: Value = serde_json::from_str(auth).unwrap_or_default();
        (self.user, self.first) = (text(&auth, "/token"), Some(text(&auth, "/room")));
        let marks = [("user", self.user.as_str()), ("room", self.first.as_deref().unwrap_or_default())];
        let payload = self.dialect.connect.auth.as_ref().map(|auth| fill(auth, &marks).to_string());
        Frames { to_node: vec![self.frame('0', None, &payload.unwrap_or_default())], to_client: Vec::new() }
    }

    /// The server has let us in: now for the room.
    fn connected(&mut self) -> Frames {
        let mut frames = Frames::default();
        let room = self.first.take().unwrap_or_default();
        self.early = Some(Vec::new());
        if self.dialect.join.is_some() {
            self.join(room, FIRST_JOIN, &mut frames);
        } else {
            frames.to_client = self.join_answered(FIRST_JOIN, &room, None);
        }
        frames
    }

    fn acked(&mut self, ack: u64, arguments: &Value) -> Vec<String> {
        match self.asked.remove(&ack) {
            Some(Asked::Join { room }) => {
                let refused = self.dialect.join.as_ref().and_then(|join| refused(&join.ask, arguments));
                if refused.is_none() && self.joining.contains(&ack) {
                    // Its event is still to come, and would be taken for the answer to the next join.
                    self.asked.insert(ack, Asked::Join { room });
                    return Vec::new();
                }
                self.joining.retain(|joining| *joining != ack);
                self.join_answered(ack, &room, refused)
            }
            Some(Asked::Leave { room }) => {
                let refused = self.dialect.leave.as_ref().and_then(|leave| refused(leave, arguments));
                vec![answer(ack, &refused.unwrap_or_else(|| json!({ "room": room })))]
            }
            Some(Asked::Send { id }) => {
                let refused = refused(&self.dialect.send.ask, arguments);
                vec![answer(ack, &refused.unwrap_or_else(|| json!({ "id": id, "timestamp": 0 })))]
            }
            // Of a join that an event has answered already, or of nothing.
            None => Vec::new(),
        }
    }

    /// That of the first room answers CONNECT.
    fn join_answered(&mut self, ack: u64, room: &str, refused: Option<Value>) -> Vec<String> {
        if ack != FIRST_JOIN {
            return vec![answer(ack, &refused.unwrap_or_else(|| joined(room)))];
        }
        let early = self.early.take().unwrap_or_default();
        if let Some(refused) = refused {
            let error = json!({ "message": refused["error"]["message"], "data": { "code": Code::RoomForbidden } });
            return vec![format!("44{error}")];
        }
        let let_in = ["40".to_owned(), event_frame(event::JOINED, &joined(room))];
        let_in.into_iter().chain(early).collect()
    }

    fn event(&mut self, name: &str, arguments: &Value) -> Vec<String> {
        if name == self.dialect.received.event {
            return vec![self.received(arguments).unwrap_or_else(|| NOTICE.to_owned())];
        }
        let answers_join = self.dialect.join.as_ref().is_some_and(|join| join.joined.as_deref() == Some(name));
        let answered = if answers_join { self.joining.pop_front() } else { None };
        match answered.and_then(|ack| Some((ack, self.asked.remove(&ack)?))) {
            Some((ack, Asked::Join { room })) => self.join_answered(ack, &room, None),
            _ => vec![NOTICE.to_owned()],
        }
    }

    /// `None` when it is no message of a user of ours.
    fn received(&self, arguments: &Value) -> Option<String> {
        let received = &self.dialect.received;
        let at = |pointer: &str| arguments.pointer(pointer).and_then(Value::as_str);
        let (mut content, mut tag) = (at(&received.text)?, (None, None));
        if self.dialect.tags() {
            let mut parts = content.splitn(3, ' ');
            tag = (parts.next(), parts.next());
            content = parts.next()?;
        }
        let id = received.id.as_deref().map_or(tag.1, at)?;
        let room = received.room.as_deref().map_or(tag.0, at)?;
        (MessageId::parse(id).is_ok() && Room::parse(room).is_ok()).then_some(())?;
        let owner = || id.rsplit_once('-').map(|(user, _)| user);
        let sender = received.sender.as_deref().map_or_else(owner, at)?;
        let message = json!({ "id": id, "room": room, "sender": sender, "content": content, "timestamp": 0 });
        Some(event_frame(event::CHAT_MESSAGE, &message))
    }
}

impl Translator for Translation {
    fn outgoing(&mut self, frame: &str) -> Frames {
        if let Some(auth) = frame.strip_prefix("40") {
            return self.connect(auth);
        }
        let mut frames = Frames::default();
        match frame.strip_prefix("42").and_then(numbered) {
            Some((Some(ack), json)) => {
                let said: Value = serde_json::from_str(json).unwrap_or_default();
                let (name, payload) = (text(&said, "/0"), &said[1]);
                match name.as_str() {
                    event::JOIN => self.join(text(payload, "/room"), ack, &mut frames),
                    event::LEAVE => self.leave(text(payload, "/room"), ack, &mut frames),
                    _ => self.send(payload, ack, &mut frames),
                }
            }
            _ if frame == "41" => frames.to_node.push(self.frame('1', None, "")),
            _ => frames.to_node.push(frame.to_owned()),
        }
        frames
    }

    fn incoming(&mut self, frame: &str) -> Frames {
        let as_it_is = || Frames { to_client: vec![frame.to_owned()], to_node: Vec::new() };
        let to_client = |to_client| Frames { to_client, to_node: Vec::new() };
        let Some((kind, packet)) = frame.strip_prefix('4').and_then(|packet| packet.split_at_checked(1)) else {
            return as_it_is();
        };
        let packet = without_namespace(packet, &self.dialect.connect.namespace);
        match (kind, numbered(packet)) {
            ("0", _) => self.connected(),
            ("2", Some((_, json))) => match serde_json::from_str::<Value>(json) {
                Ok(Value::Array(mut all)) if all.first().is_some_and(Value::is_string) => {
                    let name = all.remove(0);
                    let frames = self.event(name.as_str().unwrap_or_default(), &Value::Array(all));
                    to_client(match &mut self.early {
                        Some(early) => {
                            early.extend(frames);
                            Vec::new()
                        }
                        None => frames,
                    })
                }
                _ => as_it_is(),
            },
            ("3", Some((Some(ack), json))) => match serde_json::from_str(json) {
                Ok(arguments) => to_client(self.acked(ack, &arguments)),
                Err(_) => as_it_is(),
            },
            (_, _) => to_client(vec![format!("4{kind}{packet}")]),
        }
    }
}

fn joined(room: &str) -> Value {
    json!({ "room": room, "recovered": true })
}

fn answer(ack: u64, payload: &Value) -> String {
    format!("43{ack}{}", json!([payload]))
}

fn event_frame(name: &str, payload: &Value) -> String {
    format!("42{}", json!([name, payload]))
}

fn refusal(why: &str) -> Value {
    json!({ "error": { "code": "refused", "message": why } })
}

/// What the ack says, when it says no.
fn refused(ask: &Ask, arguments: &Value) -> Option<Value> {
    let at = |pointer: &Option<String>| pointer.as_deref().map(|pointer| arguments.pointer(pointer));
    if let Some(Some(error)) = at(&ask.error)
        && is_true(error)
    {
        return Some(refusal(&error.as_str().map_or_else(|| error.to_string(), str::to_owned)));
    }
    match at(&ask.ok) {
        Some(ok) if !ok.is_some_and(is_true) => Some(refusal(&format!("the ack was {arguments}"))),
        _ => None,
    }
}

fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value.as_str() != Some("")
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Splits an ack's number off.
fn numbered(packet: &str) -> Option<(Option<u64>, &str)> {
    let digits = packet.bytes().take_while(u8::is_ascii_digit).count();
    let (ack, json) = packet.split_at(digits);
    if ack.is_empty() { Some((None, json)) } else { Some((Some(ack.parse().ok()?), json)) }
}

fn without_namespace<'p>(packet: &'p str, namespace: &str) -> &'p str {
    let rest = packet.strip_prefix(namespace).filter(|_| namespace != "/");
    rest.map_or(packet, |rest| rest.strip_prefix(',').unwrap_or(rest))
}
