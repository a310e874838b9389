//! What the log's tasks share: the topology of the moment, who is under suspicion, and how to reach a shard's tasks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};

use crate::bells::Listen;
use crate::config::Config;
use crate::edge::Edge;
use crate::fencer::Request;
use crate::health::Health;
use crate::latest::Latest;
use crate::nursery::Spawner;
use crate::probe::{Event, Probe};
use crate::queue::Queue;
use crate::reader::Wanted;
use crate::room::RoomCell;
use crate::rooms::Rooms;
use crate::rules::Rules;
use crate::silence::Silences;
use crate::topology::{Shard, ShardIndex, Topology};
use crate::view::NodeId;

/// The ways to the tasks of one shard.
#[derive(Clone)]
pub(crate) struct ShardHandle {
    pub(crate) wake_writer: Arc<Notify>,
    pub(crate) sweep_now: Arc<Notify>,
    pub(crate) fencer: mpsc::UnboundedSender<Request>,
    pub(crate) reader: mpsc::UnboundedSender<Wanted>,
    pub(crate) bells: mpsc::UnboundedSender<Listen>,
}

pub(crate) struct Shared<E> {
    pub(crate) edge: E,
    pub(crate) config: Config,
    pub(crate) rules: Rules,
    pub(crate) probe: Arc<dyn Probe>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) queue: Queue,
    pub(crate) health: Health,
    pub(crate) silences: Silences,
    pub(crate) topology: Latest<Arc<Topology>>,
    /// Counts up when every node is to be asked at once.
    pub(crate) kicks: Latest<u64>,
    /// Tasks of sessions; they end with the log.
    pub(crate) spawner: Spawner,
    handles: Mutex<BTreeMap<ShardIndex, ShardHandle>>,
    suspects: Mutex<BTreeMap<NodeId, Instant>>,
}

impl<E: Edge> Shared<E> {
    pub(crate) fn new(edge: E, config: Config, probe: Arc<dyn Probe>, spawner: Spawner) -> Self {
        let rules = Rules::of(&config);
        let queue = Queue::new(config.pending);
        let topology = Latest::new(Arc::new(Topology { election: config.election, ..Topology::default() }));
        Shared {
            edge,
            config,
            rules,
            probe,
            rooms: Arc::default(),
            queue,
            health: Health::default(),
            silences: Silences::default(),
            topology,
            kicks: Latest::new(0),
            spawner,
            handles: Mutex::default(),
            suspects: Mutex::default(),
        }
    }

    pub(crate) fn now_topology(&self) -> Arc<Topology> {
        self.topology.borrow().clone()
    }

    /// How old an entry must be before a trim may take what is behind it.
    pub(crate) fn history_window(&self) -> Duration {
        if self.rules.trim_young() { Duration::from_millis(1) } else { self.config.history_window }
    }

    /// Asks every node at once.
    pub(crate) fn kick(&self) {
        self.kicks.modify(|kicks| **kicks += 1);
    }

    /// Something went wrong with this node: from now on it takes a majority to believe that it is the primary.
    pub(crate) fn suspect(&self, shard: &Shard) {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.insert(shard.primary.clone(), Instant::now());
        drop(suspects);
        self.probe.see(Event::Disconnected { shard: shard.index });
        self.kick();
    }

    /// The shard's primary, unless it is under suspicion.
    pub(crate) fn usable(&self, index: ShardIndex) -> Option<Shard> {
        let topology = self.topology.borrow();
        let shard = topology.shards.get(&index)?;
        let suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        let since = suspects.get(&shard.primary);
        let confirmed = |since: &Instant| self.rules.own_claim() || topology.majority_heard_since(*since);
        since.is_none_or(confirmed).then(|| shard.clone())
    }

    /// Whether this is still who the shard's primary is believed to be.
    pub(crate) fn stands(&self, shard: &Shard) -> bool {
        let topology = self.topology.borrow();
        topology
            .shards
            .get(&shard.index)
            .is_some_and(|now| now.primary == shard.primary && now.address == shard.address)
    }

    /// Waits until the shard has a primary that may be used.
    pub(crate) async fn primary(&self, index: ShardIndex) -> Shard {
        let mut news = self.topology.subscribe();
        loop {
            news.skip();
            if let Some(shard) = self.usable(index) {
                return shard;
            }
            news.changed().await;
        }
    }

    /// Waits for the next word on the topology, or for as long as this.
    pub(crate) async fn news(&self, most: Duration) {
        let mut news = self.topology.subscribe();
        news.skip();
        let _ = timeout(most, news.changed()).await;
    }

    /// There is something to read in this room.
    pub(crate) fn wake_reader(&self, cell: Arc<RoomCell>) {
        let home = self.topology.borrow().home.get(&cell.partition).copied();
        if let Some(handle) = home.and_then(|index| self.handle(index)) {
            let _ = handle.reader.send(cell);
        }
    }

    pub(crate) fn handle(&self, index: ShardIndex) -> Option<ShardHandle> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).get(&index).cloned()
    }

    /// Called before the topology that names the shard is published.
    pub(crate) fn register(&self, index: ShardIndex, handle: ShardHandle) {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).insert(index, handle);
    }

    pub(crate) fn handles(&self) -> Vec<ShardHandle> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
