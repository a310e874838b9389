//! Chat nodes of a few lines with one log between them, in the test's own process, and with the mistakes of real ones
//! to switch on.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use chaos_workload::{Node, Targets};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use system_protocol::Offset;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::sleep,
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

/// The system under test; dropping it ends it.
pub(crate) struct Nodes {
    pub(crate) targets: Targets,
    pub(crate) switches: Arc<Switches>,
    log: Arc<Log>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
pub(crate) struct Switches {
    /// No answer to anything that is said.
    pub(crate) mute: AtomicBool,
    /// What is said is stored and acked, and delivered to nobody.
    pub(crate) deaf: AtomicBool,
    /// Where somebody left is said much later.
    pub(crate) slow_to_answer_leaves: AtomicBool,
    /// So many joins on connections that are there already have no place.
    pub(crate) refusals: AtomicUsize,
}

impl Switches {
    fn refuses(&self) -> bool {
        self.refusals.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

const SLOW: Duration = Duration::from_millis(250);

/// Per room all messages, and whoever listens.
#[derive(Default)]
struct Log {
    rooms: Mutex<BTreeMap<String, Room>>,
}

#[derive(Default)]
struct Room {
    messages: Vec<Value>,
    members: Vec<(u64, mpsc::UnboundedSender<String>)>,
}

impl Nodes {
    pub(crate) async fn start(many: usize) -> Nodes {
        let (log, switches) = (Arc::new(Log::default()), Arc::new(Switches::default()));
        let (mut nodes, mut tasks) = (Vec::new(), JoinSet::new());
        for nth in 1..=many {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("ws://{}", listener.local_addr().unwrap());
            nodes.push(Node { name: format!("chat-{nth}"), url });
            tasks.spawn(serve(listener, Arc::clone(&log), Arc::clone(&switches)));
        }
        Nodes { targets: Targets::new(nodes), switches, log, _tasks: tasks }
    }

    /// Ids of what is stored, in the room's order.
    pub(crate) fn stored(&self, room: &str) -> Vec<String> {
        let rooms = self.log.rooms.lock().unwrap();
        rooms[room].messages.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
    }
}

async fn serve(listener: TcpListener, log: Arc<Log>, switches: Arc<Switches>) {
    let mut sessions = JoinSet::new();
    for session in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        let session = session << 16 | u64::from(listener.local_addr().unwrap().port());
        sessions.spawn(talk(stream, session, Arc::clone(&log), Arc::clone(&switches)));
    }
}

async fn talk(stream: TcpStream, session: u64, log: Arc<Log>, switches: Arc<Switches>) {
    stream.set_nodelay(true).unwrap();
    let Ok(mut socket) = accept_async(stream).await else { return };
    let (out, mut frames) = mpsc::unbounded_channel();
    let open =
        json!({ "sid": "s", "upgrades": [], "pingInterval": 60_000, "pingTimeout": 60_000, "maxPayload": 1_000_000 });
    out.send(format!("0{open}")).unwrap();
    let mut user = String::new();
    loop {
        tokio::select! {
            biased;
            heard = socket.next() => match heard {
                Some(Ok(Message::Text(text))) => log.hear(session, &mut user, &text, &out, &switches),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => break,
            },
            Some(frame) = frames.recv() => if socket.send(Message::text(frame)).await.is_err() { break },
        }
    }
    for room in log.rooms.lock().unwrap().values_mut() {
        room.members.retain(|(member, _)| *member != session);
    }
}

impl Log {
    fn hear(
        &self,
        session: u64,
        user: &mut String,
        text: &str,
        out: &mpsc::UnboundedSender<String>,
        switches: &Switches,
    ) {
        let say = |frame: String| out.send(frame).unwrap();
        if let Some(auth) = text.strip_prefix("40") {
            let auth: Value = serde_json::from_str(auth).unwrap();
            auth["token"].as_str().unwrap().clone_into(user);
            say(r#"40{"sid":"s"}"#.to_owned());
            self.join(session, &auth, out, |joined| say(format!("42{}", json!(["joined", joined]))));
        } else if let Some(event) = text.strip_prefix("42") {
            let (ack, json) = event.split_at(event.find('[').unwrap());
            let (event, payload): (String, Value) = serde_json::from_str(json).unwrap();
            let answer = |answer: Value| say(format!("43{ack}{}", json!([answer])));
            match event.as_str() {
                "join" if switches.refuses() => {
                    answer(json!({ "error": { "code": "room_full", "message": "No place" } }));
                }
                "join" => self.join(session, &payload, out, answer),
                "leave" if switches.slow_to_answer_leaves.load(Relaxed) => {
                    let (answer, out) = (format!("43{ack}{}", json!([self.leave(session, &payload)])), out.clone());
                    tokio::spawn(async move {
                        sleep(SLOW).await;
                        // Nobody may be there any more.
                        let _ = out.send(answer);
                    });
                }
                "leave" => answer(self.leave(session, &payload)),
                _ if switches.mute.load(Relaxed) => {}
                _ => answer(self.append(user, &payload, switches.deaf.load(Relaxed))),
            }
        }
    }

    fn join(&self, session: u64, join: &Value, out: &mpsc::UnboundedSender<String>, answer: impl Fn(Value)) {
        let name = join["room"].as_str().unwrap();
        let mut rooms = self.rooms.lock().unwrap();
        let room = rooms.entry(name.to_owned()).or_default();
        let head = offset(room.messages.len());
        let from = join["offset"].as_str().map_or(head, |text| text.parse().unwrap());
        answer(json!({ "room": name, "offset": from, "head": head, "recovered": true }));
        for message in &room.messages[(from.seq() - 1) as usize..] {
            out.send(format!("42{}", json!(["chat-message", message]))).unwrap();
        }
        room.members.push((session, out.clone()));
    }

    fn leave(&self, session: u64, leave: &Value) -> Value {
        let mut rooms = self.rooms.lock().unwrap();
        let room = rooms.get_mut(leave["room"].as_str().unwrap()).unwrap();
        room.members.retain(|(member, _)| *member != session);
        json!({ "room": leave["room"], "offset": offset(room.messages.len()) })
    }

    fn append(&self, user: &str, submit: &Value, deaf: bool) -> Value {
        let mut rooms = self.rooms.lock().unwrap();
        let room = rooms.get_mut(submit["room"].as_str().unwrap()).unwrap();
        let known = room.messages.iter().position(|message| message["id"] == submit["id"] && message["sender"] == user);
        if let Some(known) = known {
            return json!({ "id": submit["id"], "offset": room.messages[known]["offset"], "timestamp": 1 });
        }
        let mut message = submit.clone();
        message["sender"] = json!(user);
        message["timestamp"] = json!(1);
        message["offset"] = json!(offset(room.messages.len() + 1));
        let answer = json!({ "id": submit["id"], "offset": message["offset"], "timestamp": 1 });
        if !deaf {
            let frame = format!("42{}", json!(["chat-message", message]));
            room.members.retain(|(_, member)| member.send(frame.clone()).is_ok());
        }
        room.messages.push(message);
        answer
    }
}

/// Of the n-th message; 0 is the room's birth.
fn offset(nth: usize) -> Offset {
    Offset::new(1, nth as u64 + 1).unwrap()
}
