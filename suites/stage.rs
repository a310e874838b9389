//! Where scenarios play: one warm cluster, which they take in turn, with chat nodes of their own choice in front.
//!
//! Booting takes seconds, forming warm servers anew about one; so the cluster outlives the scenario, and only what a
//! scenario asks for that the warm one is not (another engine, other settings) is started afresh. Everything runs on
//! one runtime, because the fault proxy lives in this process and must outlive each test. At the end of the process
//! the servers die with it.
//!
//! Deliberately absent: what a scenario does. It calls the verbs of the cluster, of the faults and of the load.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::{LazyLock, OnceLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use chaos_cluster::{
    Build, ChatTopology, Cluster, Engine, EngineChoice, LinkEnd, LinkKind, LinkState, Options, Places, RedisTopology,
    Server, Topology, cache_folder, chat_node, find_or_fetch, slot_of_room,
};
use chaos_faults::{HealList, Inject, Injected, Scene};
use chaos_observe::{Clock, Recorder, SpanStore, spans::Receiver};
use chaos_workload::{FanOut, Load, Node, Targets};
use tempfile::TempDir;
use tokio::{
    runtime::Runtime,
    sync::{Mutex, MutexGuard},
};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static WARM: Mutex<Option<Cluster>> = Mutex::const_new(None);

/// Far beyond what anything here takes, so that only what never comes fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(10);

/// Plays a scenario from a test's own thread.
pub(crate) fn play<T>(scenario: impl Future<Output = T>) -> T {
    RUNTIME.block_on(scenario)
}

/// What a scenario needs.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    pub(crate) engine: EngineChoice,
    pub(crate) redis: RedisTopology,
    pub(crate) chat_nodes: u8,
    /// Flags of the chat nodes beyond the usual.
    pub(crate) flags: Vec<String>,
    /// Whether nodes export their spans. It costs some of two cores.
    pub(crate) traces: bool,
}

impl Set {
    /// 3 × (1 + 2) with a node timeout of 1 s, and three chat nodes.
    pub(crate) fn usual() -> Set {
        let redis = RedisTopology::new(3, 2);
        Set { engine: EngineChoice::Any, redis, chat_nodes: 3, flags: Vec::new(), traces: false }
    }

    pub(crate) fn flags(mut self, flags: &[&str]) -> Set {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    pub(crate) fn chat_nodes(self, chat_nodes: u8) -> Set {
        Set { chat_nodes, ..self }
    }
}

/// A cluster that is formed, level and alone ours, and the record of what is about to happen on it.
pub(crate) struct Stage {
    cluster: MutexGuard<'static, Option<Cluster>>,
    pub(crate) seed: u64,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) spans: SpanStore,
    pub(crate) directory: TempDir,
    pub(crate) faults: Vec<Injected>,
    heal_list: HealList,
    targets: Targets,
    _collector: Option<Receiver>,
}

impl Stage {
    pub(crate) async fn set(set: Set) -> Stage {
        Stage::set_with_seed(set, fresh_seed()).await
    }

    pub(crate) async fn set_with_seed(set: Set, seed: u64) -> Stage {
        let mut warm = WARM.lock().await;
        let began = Instant::now();
        let directory = tempfile::tempdir_in(ground()).expect("a directory of its own");
        let spans = SpanStore::create(&directory.path().join("spans.jsonl")).expect("a file for spans");
        let collector = if set.traces {
            Some(Receiver::start(spans.clone(), None).await.expect("a port on loopback"))
        } else {
            None
        };
        let topology = topology(&set, collector.as_ref());
        let how = prepare(&mut warm, &set, topology).await;
        let cluster = warm.as_ref().expect("it was just prepared");
        eprintln!("stage: {how} in {:.1?}: {}, seed {seed}", began.elapsed(), cluster.engine());
        let urls = cluster.chat_urls();
        let nodes = urls
            .iter()
            .zip(1..)
            .map(|(url, nth)| Node { name: Server::Chat(nth).to_string(), url: url.replacen("http", "ws", 1) });
        let recorder = Recorder::create(&directory.path().join("history.jsonl")).expect("a file for the history");
        Stage {
            targets: Targets::new(nodes.collect()),
            seed,
            clock: Clock::start(),
            recorder,
            spans,
            faults: Vec::new(),
            heal_list: HealList::create(directory.path()).expect("a file for the heal list"),
            directory,
            cluster: warm,
            _collector: collector,
        }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().unwrap_or_else(|| unreachable!("a stage has a cluster"))
    }

    pub(crate) fn targets(&self) -> Targets {
        self.targets.clone()
    }

    /// `host:port` of a chat node, counted from 1.
    pub(crate) fn node(&self, nth: usize) -> &str {
        self.targets.nodes[nth - 1].url.trim_start_matches("ws://")
    }

    /// A load that is steady: everyone joined, acks and deliveries within `bound`.
    pub(crate) async fn steady(&self, load: &FanOut, bound: Duration) -> Load {
        self.steady_on(load, bound, self.targets()).await
    }

    pub(crate) async fn steady_on(&self, load: &FanOut, bound: Duration, targets: Targets) -> Load {
        let load = load.start(targets, self.seed, self.clock, self.recorder.clone(), self.spans.clone()).await;
        let load = load.unwrap_or_else(|error| panic!("{error}"));
        let steady = load.steady(Duration::from_millis(500), bound, PATIENCE).await;
        steady.unwrap_or_else(|error| panic!("{error}\n{}", self.logs()));
        load
    }

    /// Injects a fault; it is healed and its evidence asked for when the scenario closes, or before.
    pub(crate) async fn inject(&mut self, fault: Inject, load: Option<&Load>) -> usize {
        let scene = self.scene(load);
        let (kind, id) = (fault.kind(), format!("{}", self.faults.len() + 1));
        let injected = fault.inject(&id, &scene).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
        eprintln!("{}: {kind} of {}", self.clock.now(), injected.target);
        self.faults.push(injected);
        self.faults.len() - 1
    }

    /// Looks for the fault's evidence once more, then undoes it.
    pub(crate) async fn heal(&mut self, fault: usize) {
        let mut injected = std::mem::take(&mut self.faults);
        let scene = self.scene(None);
        injected[fault].prove(&scene).await;
        let healed = injected[fault].heal(&scene).await;
        healed.unwrap_or_else(|error| panic!("heal {}: {error}", injected[fault].kind()));
        eprintln!("{}: {} healed: {}", self.clock.now(), injected[fault].kind(), seen(&injected[fault]));
        self.faults = injected;
    }

    fn scene(&self, load: Option<&Load>) -> Scene<'_> {
        let busiest_room = load.map(Load::busiest_room);
        Scene { cluster: self.cluster(), clock: &self.clock, heal_list: &self.heal_list, busiest_room }
    }

    pub(crate) async fn primary_of(&self, room: &str) -> Server {
        let primary = self.cluster().primary_of_slot(slot_of_room(room)).await;
        primary.unwrap_or_else(|error| panic!("primary of {room}: {error}"))
    }

    pub(crate) async fn replicas_of(&self, primary: Server) -> Vec<Server> {
        self.cluster().view().await.replicas_of(primary)
    }

    pub(crate) fn redis_but(&self, these: &[Server]) -> Vec<Server> {
        let servers = self.cluster().servers().into_iter();
        servers.filter(|server| server.is_redis() && !these.contains(server)).collect()
    }

    /// Cuts the links between the two groups, both ways.
    pub(crate) fn cut(&self, these: &[Server], those: &[Server], kinds: &[LinkKind]) {
        let links = self.cluster().links();
        for (one, other) in these.iter().flat_map(|one| those.iter().map(move |other| (*one, *other))) {
            for kind in kinds {
                links.set(end(one), end(other), *kind, LinkState::CUT);
                links.set(end(other), end(one), *kind, LinkState::CUT);
            }
        }
    }

    /// Delays replication from one node to another.
    pub(crate) fn delay(&self, from: Server, to: Server, delay: Duration) {
        self.cluster().links().set(end(from), end(to), LinkKind::Replication, LinkState::delayed(delay));
    }

    /// Waits until another node is primary of the room.
    pub(crate) async fn until_replaced(&self, primary: Server, room: &str) -> Server {
        self.until_replaced_at(primary, slot_of_room(room)).await
    }

    pub(crate) async fn until_replaced_at(&self, primary: Server, slot: u16) -> Server {
        let replaced = async || {
            let now = self.cluster().primary_of_slot(slot).await.ok();
            now.filter(|now| *now != primary)
        };
        let successor = eventually(&format!("a successor of {primary}"), PATIENCE, replaced).await;
        eprintln!("{}: {successor} took over from {primary}", self.clock.now());
        successor
    }

    /// Waits until messages that are due from now on are acked in every room.
    pub(crate) async fn until_acked_everywhere(&self, load: &Load) {
        let now = self.clock.now();
        let acked = async || load.rooms_without_ack_since(now).is_empty().then_some(());
        eventually("acks in every room", PATIENCE, acked).await;
    }

    /// The last lines of every chat node.
    pub(crate) fn logs(&self) -> String {
        let cluster = self.cluster();
        let chat = cluster.servers().into_iter().filter(|server| !server.is_redis());
        let tails: Vec<_> = chat.map(|server| format!("{server}:\n{}", cluster.log_tail(server, 5))).collect();
        tails.join("\n")
    }
}

fn end(server: Server) -> LinkEnd {
    LinkEnd::Redis(server.number())
}

pub(crate) fn seen(fault: &Injected) -> String {
    let seen: Vec<&str> = fault.evidence.iter().map(|evidence| evidence.seen.as_str()).collect();
    seen.join("; ")
}

/// Waits until it is there.
pub(crate) async fn eventually<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {within:?}");
        tokio::time::sleep(LOOK).await;
    }
}

/// `$HOLDFAST_SEED`, or a new one.
pub(crate) fn fresh_seed() -> u64 {
    let given = env::var("HOLDFAST_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    given.unwrap_or_else(|| u64::from(now.subsec_nanos()) ^ now.as_secs())
}

async fn prepare(warm: &mut Option<Cluster>, set: &Set, topology: Topology) -> &'static str {
    let choice = set.engine;
    let fits = |cluster: &Cluster| {
        choice.accepts(cluster.engine().kind, cluster.engine().version) && cluster.topology().redis == topology.redis
    };
    if let Some(cluster) = warm.take_if(|cluster| fits(cluster)) {
        match cluster.reform(topology.clone()).await {
            Ok(()) => {
                *warm = Some(cluster);
                return "formed anew";
            }
            Err(error) => eprintln!("stage: the warm cluster is of no more use: {error}"),
        }
    }
    *warm = None;
    let options = Options { engine: engine(choice).await, temp: Some(ground()), logs: None, keep: false, otlp: None };
    let started = Cluster::start(topology, options).await;
    *warm = Some(started.unwrap_or_else(|error| panic!("no cluster: {error}")));
    "booted"
}

fn topology(set: &Set, collector: Option<&Receiver>) -> Topology {
    let mut chat = ChatTopology::reference(set.chat_nodes, node_program());
    // The rate limit would slow what has waited for the end of a fault.
    let usual = "--auth none --ping-interval 2s --ping-timeout 2s --history-window 10m --rate-limit 1000";
    chat.args = usual.split(' ').map(ToOwned::to_owned).chain(set.flags.iter().cloned()).collect();
    if let Some(collector) = collector {
        chat.env.insert("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), collector.endpoint().to_owned());
        chat.env.insert("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "100".to_owned());
    }
    Topology { redis: set.redis.clone(), chat }
}

/// The debug build of the node, which alone has the planted switches.
pub(crate) fn node_program() -> PathBuf {
    let given = env::var_os("CHAT_NODE").map(PathBuf::from);
    let beside = env::current_exe().expect("this test is a file");
    chat_node(given.as_deref(), &beside, Build::Never).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) async fn engine(choice: EngineChoice) -> Engine {
    static FOUND: OnceLock<std::sync::Mutex<BTreeMap<String, Engine>>> = OnceLock::new();
    let places = Places {
        given: env::var_os("HOLDFAST_REDIS_SERVER").map(PathBuf::from),
        path: env::var_os("PATH"),
        cache: cache_folder(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")),
        fetch: true,
    };
    let find = move || {
        let mut found = FOUND.get_or_init(Default::default).lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(engine) = found.get(&choice.to_string()) {
            return engine.clone();
        }
        let engine = find_or_fetch(choice, &places, &|step| eprintln!("engine {choice}: {step}"));
        let engine = engine.unwrap_or_else(|error| panic!("{error}"));
        found.insert(choice.to_string(), engine.clone());
        engine
    };
    tokio::task::spawn_blocking(find).await.unwrap_or_else(|error| panic!("no engine: {error}"))
}

/// Where this process puts what it makes; what dead ones left there goes.
pub(crate) fn ground() -> PathBuf {
    static GROUND: LazyLock<PathBuf> = LazyLock::new(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("suites");
        let abandoned = |path: &Path| {
            let process = path.file_name().and_then(|name| name.to_str());
            process.is_some_and(|process| !Path::new("/proc").join(process).exists())
        };
        for entry in fs::read_dir(&all).into_iter().flatten().flatten().filter(|entry| abandoned(&entry.path())) {
            // Another test process may be at the same.
            let _ = fs::remove_dir_all(entry.path());
        }
        let own = all.join(std::process::id().to_string());
        fs::create_dir_all(&own).expect("a folder below target");
        own
    });
    GROUND.clone()
}
