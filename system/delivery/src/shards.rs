//! What the log's tasks share: the topology of the moment, who is under suspicion, and how to reach a shard's tasks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};

use crate::bells::Listen;
use crate::config::Config;
use crate::connection::LinkError;
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

    /// Opens a connection to the shard's primary, for as long as it is believed to be that. A host that is gone refuses
    /// nothing and a hung one answers nothing: whoever waits for either must not outwait its replacement.
    pub(crate) async fn reach<T>(
        &self,
        shard: &Shard,
        opening: impl Future<Output = Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        let mut news = self.topology.subscribe();
        tokio::pin!(opening);
        loop {
            news.skip();
            if !self.stands(shard) {
                return Err(LinkError::Superseded { address: shard.address.clone() });
            }
            tokio::select! {
                biased;
                opened = &mut opening => return opened,
                () = news.changed() => {}
            }
        }
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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::edge::RedisAddress;
    use crate::probe::Silent;

    #[derive(Clone)]
    struct Nowhere;

    impl Edge for Nowhere {
        type Stream = tokio::io::DuplexStream;

        async fn connect(&self, _: &RedisAddress) -> std::io::Result<Self::Stream> {
            pending().await
        }

        fn now_ms(&self) -> u64 {
            0
        }

        fn random(&self) -> u64 {
            0
        }
    }

    fn shard(primary: &str, port: u16) -> Shard {
        let address = RedisAddress::new("127.0.0.1", port);
        Shard { index: 0, primary: primary.into(), address, epoch: 1, partitions: Vec::new() }
    }

    fn of(shard: &Shard) -> Arc<Topology> {
        Arc::new(Topology { shards: Arc::new([(0, shard.clone())].into()), ..Topology::default() })
    }

    #[tokio::test]
    async fn nobody_waits_for_a_primary_that_was_replaced() {
        let (spawner, _tasks) = mpsc::unbounded_channel();
        let shared = Shared::new(Nowhere, Config::new(Vec::new()), Arc::new(Silent), spawner);
        let (dead, successor) = (shard("a", 1), shard("b", 2));
        shared.topology.replace(of(&dead));
        // Like a host that is gone.
        let opening = shared.reach(&dead, pending::<Result<(), LinkError>>());
        let news = async {
            for of in [of(&dead), of(&successor)] {
                tokio::task::yield_now().await;
                shared.topology.replace(of);
            }
        };
        let opened = timeout(Duration::from_secs(20), async { tokio::join!(opening, news).0 }).await;
        assert!(matches!(opened, Ok(Err(LinkError::Superseded { .. }))), "{opened:?}");
        shared.reach(&successor, async { Ok(()) }).await.expect("this is the primary");
    }
}
