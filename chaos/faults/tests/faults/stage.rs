//! The one cluster, and what a test does on it.

use std::{
    env, fs,
    path::PathBuf,
    sync::LazyLock,
    time::{Duration, Instant},
};

use chaos_cluster::{
    ChatTopology, Cluster, ContainerSettings, Engine, EngineChoice, Options, Places, Program, Ready, RedisTopology,
    Role, Seen, Server, Topology, cache_folder, find_or_fetch, slot_of_room,
};
use chaos_faults::{Fault, HealList, Inject, Injected, RedisTarget, Scene, Sign};
use chaos_observe::Clock;
use tempfile::TempDir;
use tokio::{
    runtime::Runtime,
    sync::{Mutex, MutexGuard},
};

/// Far above what anything here takes, so that only what never comes fails.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Long enough for nodes to ping each other.
const A_WHILE: Duration = Duration::from_millis(400);

/// One runtime for all tests: the cluster's own tasks live in it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static CLUSTER: Mutex<Option<Cluster>> = Mutex::const_new(None);

/// A cluster as new, with a place for the heal list.
pub(crate) struct Stage {
    cluster: MutexGuard<'static, Option<Cluster>>,
    clock: Clock,
    directory: TempDir,
    heal_list: HealList,
}

pub(crate) fn on_stage<F: Future<Output = ()> + Send + 'static>(act: impl FnOnce(Stage) -> F + Send + 'static) {
    RUNTIME.block_on(async { act(Stage::set().await).await });
}

impl Stage {
    async fn set() -> Stage {
        let mut cluster = CLUSTER.lock().await;
        match cluster.as_mut() {
            Some(cluster) => cluster.reform(topology(cluster.engine())).await.unwrap(),
            None => *cluster = Some(boot().await),
        }
        let directory = tempfile::tempdir().unwrap();
        let heal_list = HealList::create(directory.path()).unwrap();
        Stage { cluster, clock: Clock::start(), directory, heal_list }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().expect("it was started")
    }

    pub(crate) fn scene(&self) -> Scene<'_> {
        let busiest_slot = Some(slot_of_room("lobby"));
        Scene { cluster: self.cluster(), clock: &self.clock, heal_list: &self.heal_list, busiest_slot }
    }

    /// Injects it and waits until it has shown all of these.
    pub(crate) async fn bites(&self, inject: impl Into<Inject>, signs: &[Sign]) -> Injected {
        let inject = inject.into();
        let mut injected = inject.inject("1", &self.scene()).await.unwrap();
        assert_eq!(self.to_heal(), ["1"], "what is on is on disk");
        self.until_shown(&mut injected, signs).await;
        injected
    }

    pub(crate) async fn until_shown(&self, injected: &mut Injected, signs: &[Sign]) {
        let deadline = Instant::now() + DEADLINE;
        while !signs.iter().all(|sign| injected.has(*sign)) {
            assert!(Instant::now() < deadline, "{signs:?} asked, {:#?} seen", injected.evidence);
            tokio::time::sleep(Duration::from_millis(20)).await;
            injected.prove(&self.scene()).await;
        }
        assert_eq!(injected.missing(), [], "{:#?}", injected.evidence);
    }

    /// The fault with its bite left out.
    pub(crate) async fn shows_nothing<F: Fault>(&self, fault: &F) {
        let scene = self.scene();
        let aim = fault.aim(&scene).await.unwrap();
        let required = fault.required(&aim);
        assert!(!required.is_empty());
        let until = Instant::now() + A_WHILE;
        while Instant::now() < until {
            let seen = fault.prove(&scene, &aim).await;
            let all_there = required.iter().all(|sign| seen.iter().any(|evidence| evidence.of == *sign));
            assert!(!all_there, "{} did nothing, and shows {seen:#?}", F::KIND);
        }
    }

    /// Heals it, twice, and waits until all is well.
    pub(crate) async fn heals(&self, mut injected: Injected) {
        injected.heal(&self.scene()).await.unwrap();
        let off = injected.off;
        injected.heal(&self.scene()).await.unwrap();
        assert!(off.is_some_and(|off| off >= injected.on) && injected.off == off);
        assert_eq!(self.to_heal(), Vec::<String>::new());
        self.is_well().await;
    }

    pub(crate) async fn has_ended(&self, server: Server) {
        let deadline = Instant::now() + DEADLINE;
        while !self.cluster().state(server).has_ended() {
            assert!(Instant::now() < deadline, "{server} still runs");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn is_well(&self) {
        assert_eq!(self.cluster().links().faulty(), [], "every link carries as before");
        self.cluster().wait_until_level(DEADLINE).await.unwrap();
    }

    pub(crate) async fn is_replica(&self, server: Server) -> bool {
        let view = self.cluster().view().await;
        matches!(&view.nodes[&server], Seen::Answered(node) if node.role != Role::Primary)
    }

    pub(crate) fn to_heal(&self) -> Vec<String> {
        HealList::load(self.directory.path()).unwrap().into_iter().map(|fault| fault.id).collect()
    }
}

pub(crate) fn busiest() -> RedisTarget {
    RedisTarget::PrimaryOfBusiestRoom
}

/// Half a second of node timeout: promotions within two seconds. A container alone may need that long to start, and a
/// fast restart must be over before anyone takes over. The chat nodes are anything that listens and is told
/// where by arguments alone: a Redis server by itself, which is there wherever the cluster runs.
fn topology(engine: &Engine) -> Topology {
    let node_timeout = Duration::from_millis(if in_containers() { 2000 } else { 500 });
    let redis = RedisTopology { node_timeout, ..RedisTopology::new(3, 1) };
    let arguments = ["--bind", "{host}", "--port", "{port}", "--save", ""].map(ToOwned::to_owned).to_vec();
    let command = engine.program.clone();
    let program = Program { command, arguments, folder: None, ready: Ready::Listening, inherits: true };
    let library = |path: &PathBuf| ("LD_LIBRARY_PATH".to_owned(), path.display().to_string());
    let env = engine.library_path.iter().map(library).collect();
    Topology { redis, chat: ChatTopology { nodes: 1, program, env, ..ChatTopology::none() } }
}

/// With `HOLDFAST_BACKEND=containers` everything runs in containers, of this machine's engine.
fn in_containers() -> bool {
    env::var_os("HOLDFAST_BACKEND").is_some_and(|name| name == "containers")
}

async fn boot() -> Cluster {
    let places = Places {
        given: env::var_os("HOLDFAST_REDIS_SERVER").map(PathBuf::from),
        path: env::var_os("PATH"),
        cache: cache_folder(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")),
        fetch: true,
    };
    let engine = find_or_fetch(EngineChoice::Any, &places, &|_| ()).unwrap();
    // Nobody drops the cluster of a static; the next run clears what this one leaves.
    let temp = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faults");
    let _ = fs::remove_dir_all(&temp);
    fs::create_dir_all(&temp).unwrap();
    let containers = in_containers().then(ContainerSettings::default);
    let topology = topology(&engine);
    Cluster::start(topology, Options { engine, temp: Some(temp), logs: None, keep: false, containers }).await.unwrap()
}
