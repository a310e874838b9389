//! The log on Redis Cluster: its tasks, and how the rest of the node reaches them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::Cmd;
use system_protocol::{Code, Offset, Refusal, Room};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::api::{Delivery, Receipt, Submission};
use crate::bells::{self, Listen};
use crate::config::{Config, ConfigError};
use crate::connection::Complaint;
use crate::edge::Edge;
use crate::entry::Item;
use crate::fencer::{self, Proven, Request};
use crate::health::{ShardState, ShardStatus, Status};
use crate::library;
use crate::names::{self, Partition};
use crate::nursery;
use crate::outbox::Outbox;
use crate::probe::{Event, Probe};
use crate::queue::MIGRATION_RETRY;
use crate::reader;
use crate::replies::{self, Entered};
use crate::resolver::Resolver;
use crate::session::{Hall, Session};
use crate::shards::{ShardHandle, Shared};
use crate::source::{Entrance, Soon, Source};
use crate::sweep;
use crate::topology::{ShardIndex, Topology};
use crate::writer;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(100);

/// The durable log of one chat node. It starts, and stays, whether or not Redis is there.
pub struct Log<E: Edge> {
    shared: Arc<Shared<E>>,
    hall: Hall,
    broken_down: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl<E: Edge> Log<E> {
    /// Must be called inside a tokio runtime.
    pub fn start(edge: E, config: Config, probe: Arc<dyn Probe>) -> Result<Self, ConfigError> {
        config.check()?;
        let (spawner, newcomers) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(edge, config, probe.clone(), spawner));
        let hall = Hall {
            rooms: shared.rooms.clone(),
            source: Arc::new(Redis(shared.clone())),
            probe,
            rules: shared.rules.clone(),
        };
        let broken_down = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        tasks.spawn(nursery::run(newcomers));
        tasks.spawn(watch_deadlines(shared.clone()));
        tasks.spawn(govern(shared.clone(), broken_down.clone()));
        Ok(Log { shared, hall, broken_down, _tasks: tasks })
    }
}

impl<E: Edge> Delivery for Log<E> {
    fn submit(&self, submission: Submission) -> Receipt {
        let partition = names::partition_of(&submission.room);
        let receipt = self.shared.queue.submit(submission, self.shared.config.append_deadline);
        let home = self.shared.topology.borrow().home.get(&partition).copied();
        if let Some(handle) = home.and_then(|shard| self.shared.handle(shard)) {
            handle.wake_writer.notify_one();
        }
        receipt
    }

    fn session(&self, outbox: Arc<dyn Outbox>) -> Session {
        Session::new(self.hall.clone(), outbox)
    }

    fn status(&self) -> Status {
        let topology = self.shared.now_topology();
        let shards: Vec<ShardStatus> = topology.shards.values().map(|shard| self.shard_status(shard)).collect();
        let reached = shards.iter().any(|shard| matches!(shard.state, ShardState::Acking | ShardState::Short { .. }));
        let draining = self.shared.queue.draining();
        let reason = if self.broken_down.load(Ordering::Relaxed) {
            Some("a task of the log broke down".to_owned())
        } else if draining {
            Some("draining".to_owned())
        } else if shards.is_empty() {
            Some("no redis node has said what the cluster looks like yet".to_owned())
        } else if reached {
            None
        } else {
            Some("no shard of the redis cluster can be reached".to_owned())
        };
        let (pending, rooms) = (self.shared.queue.pending(), self.shared.rooms.len());
        Status { ready: reason.is_none(), reason, draining, pending, rooms, shards }
    }

    fn drain(&self) {
        self.shared.queue.drain();
    }

    fn drained(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.shared.queue.emptied())
    }
}

impl<E: Edge> Log<E> {
    fn shard_status(&self, shard: &crate::topology::Shard) -> ShardStatus {
        ShardStatus {
            shard: shard.index,
            primary: shard.address.clone(),
            epoch: shard.epoch,
            partitions: shard.partitions.len(),
            state: self.shared.health.get(shard.index),
        }
    }
}

/// Drops, unanswered, what waited too long for a writer.
async fn watch_deadlines<E: Edge>(shared: Arc<Shared<E>>) {
    loop {
        sleep(TICK).await;
        let messages = shared.queue.expire(Instant::now());
        if messages > 0 {
            shared.probe.see(Event::Unanswered { messages });
        }
    }
}

/// Keeps the topology, and gives every shard its tasks.
async fn govern<E: Edge>(shared: Arc<Shared<E>>, broken_down: Arc<AtomicBool>) {
    let mut resolver = Resolver::new(shared.clone());
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            topology = resolver.next() => publish(&shared, &mut tasks, topology),
            // They work for ever; one that ends has panicked, and a log that lacks it must not look healthy.
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {
                tracing::error!(target: "holdfast", "a task of the log broke down");
                broken_down.store(true, Ordering::Relaxed);
            }
        }
    }
}

fn publish<E: Edge>(shared: &Arc<Shared<E>>, tasks: &mut JoinSet<()>, topology: Topology) {
    for index in topology.shards.keys() {
        if shared.handle(*index).is_none() {
            man(shared, tasks, *index);
        }
    }
    let moved = topology.home != shared.topology.borrow().home;
    shared.topology.replace(Arc::new(topology));
    if moved {
        for handle in shared.handles() {
            handle.wake_writer.notify_one();
        }
    }
}

fn man<E: Edge>(shared: &Arc<Shared<E>>, tasks: &mut JoinSet<()>, index: ShardIndex) {
    let (wake_writer, sweep_now) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (fence, requests) = mpsc::unbounded_channel();
    let (read, wanted) = mpsc::unbounded_channel();
    let (listen, wishes) = mpsc::unbounded_channel();
    let handle = ShardHandle {
        wake_writer: wake_writer.clone(),
        sweep_now: sweep_now.clone(),
        fencer: fence,
        reader: read,
        bells: listen,
    };
    shared.register(index, handle);
    tasks.spawn(writer::run(shared.clone(), index, wake_writer));
    tasks.spawn(fencer::run(shared.clone(), index, requests));
    tasks.spawn(reader::run(shared.clone(), index, wanted));
    tasks.spawn(bells::run(shared.clone(), index, wishes));
    tasks.spawn(sweep::run(shared.clone(), index, sweep_now));
}

/// What a fenced question came to.
pub(crate) enum Found {
    Value(redis::Value),
    /// The slot is on its way and the keys are on two sides: later, or one key at a time.
    Migrating,
}

/// Asks whoever owns the partition, for as long as it takes; the answer is proven.
pub(crate) async fn question<E: Edge>(shared: &Arc<Shared<E>>, partition: Partition, command: Cmd) -> Found {
    let mut target = None;
    loop {
        let asking = target.is_some();
        let home = target.take().or_else(|| shared.topology.borrow().home.get(&partition).copied());
        let Some(handle) = home.and_then(|index| shared.handle(index)) else {
            shared.news(shared.config.topology).await;
            continue;
        };
        let (answer, proven) = oneshot::channel();
        let _ = handle.fencer.send(Request { partition, command: command.clone(), asking, answer });
        match proven.await {
            Ok(Proven::Value(value)) => return Found::Value(value),
            Ok(Proven::Elsewhere(Complaint::TryAgain)) => return Found::Migrating,
            Ok(Proven::Elsewhere(Complaint::Ask { host, port })) => {
                target = shared.now_topology().shard_at(&host, port).map(|shard| shard.index);
                if target.is_none() {
                    // A primary without a slot cannot fence yet; the slot will be its own soon.
                    sleep(MIGRATION_RETRY).await;
                }
            }
            _ => {
                shared.kick();
                shared.news(shared.config.topology).await;
            }
        }
    }
}

/// The log as its sessions see it.
struct Redis<E: Edge>(Arc<Shared<E>>);

impl<E: Edge> Redis<E> {
    /// Calls with several keys wait out a migration.
    async fn patiently(&self, partition: Partition, command: Cmd) -> redis::Value {
        loop {
            match question(&self.0, partition, command.clone()).await {
                Found::Value(value) => return value,
                Found::Migrating => sleep(MIGRATION_RETRY).await,
            }
        }
    }
}

impl<E: Edge> Source for Redis<E> {
    /// Waits for the subscription no longer than a connection may be silent: the sweep does not need it.
    fn listen<'a>(&'a self, room: &'a Room) -> Soon<'a, ()> {
        Box::pin(async move {
            let partition = names::partition_of(room);
            let home = self.0.topology.borrow().home.get(&partition).copied();
            if let Some(handle) = home.and_then(|index| self.0.handle(index)) {
                let (done, heard) = oneshot::channel();
                let _ = handle.bells.send(Listen { partition, done });
                let _ = timeout(self.0.config.liveness, heard).await;
            }
        })
    }

    fn enter<'a>(&'a self, room: &'a Room, at: Option<Offset>) -> Soon<'a, Result<Entrance, Refusal>> {
        Box::pin(async move {
            let partition = names::partition_of(room);
            loop {
                let value = self.patiently(partition, library::enter(room, at, &self.0.config)).await;
                match replies::entered(&value) {
                    Some(Entered::Head { head, held }) => return Ok(Entrance { head, held }),
                    Some(Entered::RoomLimit) => {
                        return Err(Refusal::new(Code::RoomLimit, "This node takes no more rooms"));
                    }
                    None => {
                        tracing::error!(target: "holdfast", ?value, "unreadable answer to a join");
                        sleep(MIGRATION_RETRY).await;
                    }
                }
            }
        })
    }

    fn page<'a>(&'a self, room: &'a Room, from: Offset) -> Soon<'a, Vec<Item>> {
        Box::pin(async move {
            let command = library::range(room, from, None, self.0.config.page + 1);
            let value = self.patiently(names::partition_of(room), command).await;
            replies::items(&value, room).unwrap_or_default()
        })
    }

    fn pump(&self, room: &Room) {
        if let Some(cell) = self.0.rooms.get(room).filter(|cell| cell.behind().is_some()) {
            self.0.wake_reader(cell);
        }
    }

    fn spawn(&self, task: Soon<'static, ()>) {
        let _ = self.0.spawner.send(task);
    }
}
