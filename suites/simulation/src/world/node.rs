//! A chat node: the unchanged delivery code behind a socket of values.
//!
//! Dropping the log is the crash: its tasks, the connections' and the network's ends die together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use system_delivery::{CloseReason, Closed, Config, Delivery, Entry, FanOut, Log, Outbox, Outcome, Silent, Submission};
use system_protocol::{Joined, UserId};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::edge::SimEdge;
use super::wire::{ToClient, ToNode};
use crate::network::{Death, Host, Receiver, Sender};

#[derive(Clone)]
pub struct Node {
    pub name: String,
    pub host: Host,
    edge: SimEdge,
    config: Config,
    life: Arc<Mutex<Option<Life>>>,
}

/// One life of the process.
struct Life {
    log: Arc<Log<SimEdge>>,
    connections: JoinSet<()>,
}

impl Node {
    pub fn start(name: String, edge: SimEdge, config: Config) -> Node {
        let node = Node { name, host: edge.host, edge, config, life: Arc::default() };
        node.boot();
        node
    }

    fn boot(&self) {
        self.edge.sim.net.set_up(self.host, true);
        let log =
            Log::start(self.edge.clone(), self.config.clone(), Arc::new(Silent)).expect("settings that go together");
        let life = Life { log: Arc::new(log), connections: JoinSet::new() };
        *self.life.lock().expect("no panic inside a node") = Some(life);
    }

    pub fn alive(&self) -> bool {
        self.life.lock().expect("no panic inside a node").is_some()
    }

    pub fn crash(&self, death: Death) {
        if self.alive() {
            self.edge.sim.trace.tell(format!("{} dies ({death:?})", self.name));
            self.edge.sim.net.kill(self.host, death);
            let life = self.life.lock().expect("no panic inside a node").take();
            drop(life);
        }
    }

    pub fn restart(&self) {
        if !self.alive() {
            self.edge.sim.trace.tell(format!("{} starts again", self.name));
            self.boot();
        }
    }

    /// Messages that wait for an ack.
    pub fn pending(&self) -> usize {
        self.life.lock().expect("no panic inside a node").as_ref().map_or(0, |life| life.log.status().pending)
    }

    /// Take a client's connection; false when the process is gone. `room_for` is how many frames its socket takes
    /// before the client counts as too slow.
    pub fn accept(&self, user: UserId, to: Sender<ToClient>, from: Receiver<ToNode>, room_for: u64) -> bool {
        let mut life = self.life.lock().expect("no panic inside a node");
        let Some(life) = life.as_mut() else { return false };
        let log = life.log.clone();
        while life.connections.try_join_next().is_some() {}
        life.connections.spawn(serve(log, user, to, from, room_for));
        true
    }
}

struct Socket {
    to: Sender<ToClient>,
    closed: AtomicBool,
    closing: Notify,
    room_for: AtomicU64,
}

impl Socket {
    fn send(&self, frame: ToClient) -> Result<(), Closed> {
        if self.closed.load(Relaxed) {
            return Err(Closed);
        }
        // Too slow: closed at the first frame that has no room, nothing behind it.
        if self.room_for.fetch_sub(1, Relaxed) == 0 {
            self.end();
            return Err(Closed);
        }
        self.to.send(frame);
        Ok(())
    }

    fn end(&self) {
        self.closed.store(true, Relaxed);
        self.closing.notify_one();
    }
}

impl Outbox for Socket {
    fn joined(&self, joined: &Joined) -> Result<(), Closed> {
        self.send(ToClient::Joined(joined.clone()))
    }

    fn message(&self, entry: &Arc<Entry>, fan_out: Option<&FanOut<'_>>) -> Result<(), Closed> {
        self.send(ToClient::Message { message: Box::new(entry.message()), replay: fan_out.is_none() })
    }

    fn close(&self, _why: CloseReason) {
        self.end();
    }
}

async fn serve(log: Arc<Log<SimEdge>>, user: UserId, to: Sender<ToClient>, mut from: Receiver<ToNode>, room_for: u64) {
    let room_for = AtomicU64::new(room_for);
    let socket = Arc::new(Socket { to, closed: AtomicBool::new(false), closing: Notify::new(), room_for });
    let session = log.session(socket.clone());
    // Whatever waits for an answer; dropped with the connection.
    let mut waiting = JoinSet::new();
    loop {
        while waiting.try_join_next().is_some() {}
        let frame = tokio::select! {
            biased;
            () = socket.closing.notified() => break,
            frame = from.recv() => frame,
        };
        let Some(frame) = frame else { break };
        let socket = socket.clone();
        match frame {
            ToNode::Ping => {
                let _ = socket.send(ToClient::Pong);
            }
            ToNode::Join { room, offset } => {
                let join = session.join(room.clone(), offset);
                waiting.spawn(async move {
                    if let Err(refusal) = join.await {
                        let _ = socket.send(ToClient::JoinRefused { room, code: refusal.code.as_str().to_owned() });
                    }
                });
            }
            ToNode::Leave { room } => {
                if let Some(left) = session.leave(&room) {
                    let _ = socket.send(ToClient::Left(left));
                }
            }
            ToNode::Submit { room, id, content } => {
                if !session.knows(&room) {
                    let _ = socket.send(ToClient::Refused { id, code: "not_in_room".to_owned() });
                    continue;
                }
                let submission = Submission { room, sender: user.clone(), id: id.clone(), content, traceparent: None };
                let receipt = log.submit(submission);
                waiting.spawn(async move {
                    let _ = match receipt.await {
                        Outcome::Acked(acked) => socket.send(ToClient::Acked { id, offset: acked.offset }),
                        Outcome::Refused(refusal) => {
                            socket.send(ToClient::Refused { id, code: refusal.code.as_str().to_owned() })
                        }
                        Outcome::Unanswered => Ok(()),
                    };
                });
            }
        }
    }
}
