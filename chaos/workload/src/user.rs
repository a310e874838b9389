//! One user: a task that owns a client, does what it is told, and writes down all that happens to it.
//!
//! One task has both the wishes and the events, so an event about a message never comes before its wish is noted.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chaos_observe::At;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use system_client::{Client, Config, Event};
use system_protocol::MessageId;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{LoadError, content::compose, crowd::Crowd, line::Line, scribe::Scribe};

/// Who it is, before it starts.
pub(crate) struct Start {
    pub(crate) name: String,
    /// Indices into the crowd's nodes, the preferred one first.
    pub(crate) nodes: Vec<usize>,
    /// Indices into the crowd's rooms.
    pub(crate) rooms: Vec<usize>,
    /// Whether it is owed all that is said in its rooms.
    pub(crate) stays: bool,
    /// Whether its connection can be cut.
    pub(crate) cuttable: bool,
    pub(crate) seed: u64,
}

/// What a user is told to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    Say {
        room: usize,
        due: At,
        canary: bool,
    },
    /// Leave every room.
    Leave,
    /// Join every room again; with `resume` where it left off.
    Return {
        resume: bool,
    },
    Cut,
    Close,
}

/// The way to tell it. Wishes to a user that has closed are dropped.
#[derive(Clone, Debug)]
pub(crate) struct User {
    wishes: mpsc::UnboundedSender<Wish>,
    members: Arc<[usize]>,
}

impl User {
    pub(crate) fn wish(&self, wish: Wish) {
        let _ = self.wishes.send(wish);
    }

    /// Its number among the members of each of its rooms.
    pub(crate) fn members(&self) -> &[usize] {
        &self.members
    }
}

/// Starts the user in `tasks`; it is joined when the ledgers of its rooms say so.
pub(crate) async fn start(crowd: &Arc<Crowd>, start: Start, tasks: &mut JoinSet<()>) -> Result<User, LoadError> {
    let lines = if start.cuttable { lines(crowd, &start).await? } else { Vec::new() };
    let urls: Vec<String> = if lines.is_empty() {
        start.nodes.iter().map(|node| crowd.targets.nodes[*node].url.clone()).collect()
    } else {
        lines.iter().map(Line::url).collect()
    };
    let config = config(crowd, &start, &urls)?;
    let said = Arc::new(AtomicU64::new(0));
    let (client, events) = Client::start(config, ids(sender(crowd, &start.name), Arc::clone(&said)));
    let scribe = Scribe::new(crowd, &start);
    for room in scribe.rooms() {
        client.join(room.clone(), None);
    }
    let members = scribe.members();
    let (wishes, told) = mpsc::unbounded_channel();
    let rng = ChaCha8Rng::seed_from_u64(start.seed);
    let (crowd, name, resumes) = (Arc::clone(crowd), start.name, false);
    let task = Task { crowd, name, client, events, told, scribe, lines, said, rng, resumes };
    tasks.spawn(task.run());
    Ok(User { wishes, members })
}

async fn lines(crowd: &Crowd, start: &Start) -> Result<Vec<Line>, LoadError> {
    let mut lines = Vec::new();
    for node in &start.nodes {
        let url = &crowd.targets.nodes[*node].url;
        let (scheme, address) = url.split_once("://").unwrap_or(("ws", url));
        lines.push(Line::to(scheme, address.trim_end_matches('/')).await.map_err(LoadError::Line)?);
    }
    Ok(lines)
}

fn config(crowd: &Crowd, start: &Start, urls: &[String]) -> Result<Config, LoadError> {
    let mut config = Config::new(urls, crowd.targets.tokens.of(&start.name))?;
    config.seed = start.seed;
    config.ack_timeout = crowd.ack_timeout;
    config.tls.clone_from(&crowd.targets.tls);
    if let Some(dialect) = crowd.targets.dialect.clone() {
        if !dialect.send.retry {
            config.retry_horizon = Duration::ZERO;
        }
        config.dialect = Some(dialect);
    }
    #[cfg(debug_assertions)]
    {
        config.drop_received = crowd.targets.drop_received;
    }
    Ok(config)
}

/// Who says it, as ids tell: this user of this run.
fn sender(crowd: &Crowd, user: &str) -> String {
    format!("{}{user}", crowd.targets.run)
}

fn ids(sender: String, said: Arc<AtomicU64>) -> system_client::Ids {
    Box::new(move || id(&sender, said.fetch_add(1, Ordering::Relaxed)))
}

/// Unique in the run, since users are.
fn id(sender: &str, nth: u64) -> MessageId {
    MessageId::parse(&format!("{sender}-{nth:06}")).unwrap_or_else(|refusal| unreachable!("an id of ours: {refusal}"))
}

struct Task {
    crowd: Arc<Crowd>,
    name: String,
    client: Client,
    events: mpsc::UnboundedReceiver<Event>,
    told: mpsc::UnboundedReceiver<Wish>,
    scribe: Scribe,
    lines: Vec<Line>,
    /// How many messages got an id; the next one is known before it is given.
    said: Arc<AtomicU64>,
    rng: ChaCha8Rng,
    /// It is to resume once the node has said where it left.
    resumes: bool,
}

impl Task {
    async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => {
                    self.scribe.note(event);
                    if self.resumes && self.scribe.has_left() {
                        self.come_back(true);
                    }
                }
                wish = self.told.recv() => if self.obey(wish.unwrap_or(Wish::Close)).is_break() { break },
            }
        }
        self.client.close().await;
        while let Some(event) = self.events.recv().await {
            self.scribe.note(event);
        }
    }

    fn obey(&mut self, wish: Wish) -> ControlFlow<()> {
        match wish {
            Wish::Say { room, due, canary } => self.say(room, due, canary),
            // It is still on its way back.
            Wish::Leave | Wish::Return { .. } if self.resumes => {}
            Wish::Leave => {
                let left: Vec<_> = self.scribe.rooms().filter(|room| self.client.leave(room)).cloned().collect();
                self.scribe.leaves(left);
            }
            Wish::Return { resume: true } if !self.scribe.has_left() => self.resumes = true,
            Wish::Return { resume } => self.come_back(resume),
            Wish::Cut => self.lines.iter().for_each(Line::cut),
            Wish::Close => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn say(&mut self, room: usize, due: At, canary: bool) {
        let id = id(&sender(&self.crowd, &self.name), self.said.load(Ordering::Relaxed));
        let content = compose(&mut self.rng, self.crowd.content);
        let trace = self.crowd.traces.root(&mut self.rng, &id);
        // Whoever has left the room has nothing to say there; the send is not due at all.
        if self.client.send(&self.crowd.rooms[room].name, content, Some(trace)).is_ok() {
            self.scribe.due(room, id, due, canary, trace);
        }
    }

    fn come_back(&mut self, resume: bool) {
        self.resumes = false;
        for room in self.scribe.rooms() {
            self.client.join(room.clone(), self.scribe.left(room).filter(|_| resume));
        }
    }
}
