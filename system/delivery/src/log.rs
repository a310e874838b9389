//! The log on Redis Cluster: its tasks, and how the rest of the node reaches them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::api::{Delivery, Receipt, Submission};
use crate::bells;
use crate::config::{Config, ConfigError};
use crate::edge::Edge;
use crate::fencer;
use crate::health::{ShardState, ShardStatus, Status};
use crate::names;
use crate::nursery;
use crate::outbox::Outbox;
use crate::probe::{Event, Probe};
use crate::question::Redis;
use crate::reader;
use crate::resolver::Resolver;
use crate::session::{Hall, Session};
use crate::shards::{ShardHandle, Shared};
use crate::sweep;
use crate::topology::{ShardIndex, Topology};
use crate::writer;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(100);

/// The durable log of one chat node. It starts, and stays, whether or not Redis is there.
pub struct Log<E: Edge> {
    shared: Arc<Shared<E>>,
    hall: Arc<Hall>,
    broken_down: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl<E: Edge> Log<E> {
    /// Must be called inside a tokio runtime.
    pub fn start(edge: E, config: Config, probe: Arc<dyn Probe>) -> Result<Self, ConfigError> {
        config.check()?;
        let (spawner, newcomers) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(edge, config, probe.clone(), spawner));
        let hall = Arc::new(Hall {
            rooms: shared.rooms.clone(),
            source: Arc::new(Redis(shared.clone())),
            probe,
            rules: shared.rules.clone(),
        });
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
        let useless =
            |shard: &ShardStatus| matches!(shard.state, ShardState::Starting | ShardState::Unreachable { .. });
        let draining = self.shared.queue.draining();
        let reason = if self.broken_down.load(Ordering::Relaxed) {
            Some("a task of the log broke down".to_owned())
        } else if draining {
            Some("draining".to_owned())
        } else if shards.is_empty() {
            let why = self.shared.silences.why().map(|why| format!(": {why}")).unwrap_or_default();
            Some(format!("no redis node has said what the cluster looks like yet{why}"))
        } else if shards.iter().all(useless) {
            let why = shards.iter().find_map(|shard| match &shard.state {
                ShardState::Unreachable { why } => Some(format!(": {why}")),
                _ => None,
            });
            Some(format!("no shard of the redis cluster can be used{}", why.unwrap_or_default()))
        } else {
            None
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
    let before = shared.now_topology();
    let anew = !topology.decided_as(&before);
    for index in topology.shards.keys().filter(|_| anew) {
        if shared.handle(*index).is_none() {
            man(shared, tasks, *index);
        }
    }
    let moved = anew && topology.home != before.home;
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
