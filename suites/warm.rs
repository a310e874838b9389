//! The one cluster that all scenarios take in turn.
//!
//! Booting takes seconds, forming warm servers anew about one; so the cluster outlives the scenario, and only what a
//! scenario asks for that the warm one is not (another engine, other settings) is started afresh. Everything runs on
//! one runtime, because the fault proxy lives in this process and must outlive each test. At the end of the process
//! the servers die with it.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::{LazyLock, OnceLock, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use chaos_cluster::{
    Build, ChatTopology, Cluster, ContainerSettings, DockerSettings, Engine, EngineChoice, Options, Places,
    RedisTopology, Topology, cache_folder, chat_node, engine_in, find_or_fetch, pull_images,
};
use chaos_drill::Backend;
use tokio::{
    runtime::Runtime,
    sync::{Mutex, MutexGuard},
};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static WARM: Mutex<Option<Cluster>> = Mutex::const_new(None);

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

/// `$HOLDFAST_SEED`, or a new one.
pub(crate) fn fresh_seed() -> u64 {
    let given = env::var("HOLDFAST_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    given.unwrap_or_else(|| u64::from(now.subsec_nanos()) ^ now.as_secs())
}

/// Alone with the cluster, if there is one yet, until the guard is dropped.
pub(crate) async fn turn() -> MutexGuard<'static, Option<Cluster>> {
    WARM.lock().await
}

/// Makes the cluster one that fits, formed and level; how, for people. `otlp`: where nodes send their spans.
pub(crate) async fn prepare(warm: &mut Option<Cluster>, set: &Set, otlp: Option<&str>) -> &'static str {
    let (choice, topology) = (set.engine, topology(set, otlp));
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
    let (engine, containers) = place(choice).await;
    let options = Options { engine, temp: Some(ground()), logs: None, keep: false, containers };
    let cluster = Cluster::start(topology, options).await.unwrap_or_else(|error| panic!("no cluster: {error}"));
    cluster.swept().iter().for_each(|line| eprintln!("{line}"));
    *warm = Some(cluster);
    "booted"
}

fn topology(set: &Set, otlp: Option<&str>) -> Topology {
    let mut chat = ChatTopology::reference(set.chat_nodes, node_program());
    // The rate limit would slow what has waited for the end of a fault.
    let usual = "--auth none --ping-interval 2s --ping-timeout 2s --history-window 10m --rate-limit 1000";
    chat.args = usual.split(' ').map(ToOwned::to_owned).chain(set.flags.iter().cloned()).collect();
    chat.otlp = otlp.map(ToOwned::to_owned);
    Topology { redis: set.redis.clone(), chat }
}

/// The debug build of the node, which alone has the planted switches.
pub(crate) fn node_program() -> PathBuf {
    let given = env::var_os("CHAT_NODE").map(PathBuf::from);
    let beside = env::current_exe().expect("this test is a file");
    chat_node(given.as_deref(), &beside, Build::Never).unwrap_or_else(|error| panic!("{error}"))
}

/// What `$HOLDFAST_BACKEND` asks for: where every cluster of the suites runs, unless a test names a backend itself.
/// Everything else does not know the difference, and runs alike with both.
pub(crate) fn backend() -> Backend {
    match env::var("HOLDFAST_BACKEND").as_deref() {
        Ok("containers") => Backend::Containers,
        Ok("" | "processes") | Err(_) => Backend::Processes,
        Ok(other) => panic!("HOLDFAST_BACKEND is {other:?}: processes or containers"),
    }
}

pub(crate) fn in_containers() -> bool {
    backend() == Backend::Containers
}

/// The engine to run on, and the images if that is in containers.
pub(crate) async fn place(choice: EngineChoice) -> (Engine, Option<ContainerSettings>) {
    place_on(backend(), choice).await
}

pub(crate) async fn place_on(backend: Backend, choice: EngineChoice) -> (Engine, Option<ContainerSettings>) {
    if backend != Backend::Containers {
        return (engine(choice).await, None);
    }
    let given = |name: &str| env::var(name).ok().filter(|image| !image.is_empty());
    let docker = DockerSettings {
        host: env::var("DOCKER_HOST").ok(),
        tls_verify: given("DOCKER_TLS_VERIFY").is_some_and(|value| value == "1"),
        cert_path: env::var_os("DOCKER_CERT_PATH").map(PathBuf::from),
    };
    let given = ContainerSettings { docker, redis: given("HOLDFAST_REDIS_IMAGE"), chat: given("HOLDFAST_CHAT_IMAGE") };
    let pulled = pull_images(choice, &given, &|line| eprintln!("{line}"), &|_| ()).await;
    let containers = pulled.unwrap_or_else(|error| panic!("{error}"));
    let engine = match &containers.redis {
        Some(image) => engine_in(image, choice, &containers.docker).await.unwrap_or_else(|error| panic!("{error}")),
        None => engine(choice).await,
    };
    (engine, Some(containers))
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
        let mut found = FOUND.get_or_init(Default::default).lock().unwrap_or_else(PoisonError::into_inner);
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
