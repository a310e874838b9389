//! The cluster that the tests share.

use std::{path::PathBuf, sync::LazyLock, time::Duration};

use chaos_cluster::{
    ChatTopology, Cluster, ContainerSettings, Engine, EngineChoice, Options, Places, RedisTopology, Server, Topology,
    cache_folder, find_or_fetch,
};
use tokio::sync::{Mutex, MutexGuard};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The engine on this machine, the one that `HOLDFAST_REDIS_SERVER` is the path of, or what `HOLDFAST_TEST_ENGINE` chooses
/// (`redis-7.0`).
pub(crate) fn engine() -> Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
        let variable = |name: &str| std::env::var_os(name);
        let places = Places {
            given: variable("HOLDFAST_REDIS_SERVER").map(PathBuf::from),
            path: variable("PATH"),
            cache: cache_folder(variable("XDG_CACHE_HOME"), variable("HOME")),
            fetch: true,
        };
        let choice =
            variable("HOLDFAST_TEST_ENGINE").map_or(Ok(EngineChoice::Any), |name| name.to_string_lossy().parse());
        find_or_fetch(choice.expect("a known engine"), &places, &|line| eprintln!("{line}")).expect("an engine")
    });
    ENGINE.clone()
}

/// With `HOLDFAST_BACKEND=containers` everything runs in containers, of this machine's engine.
pub(crate) fn options() -> Options {
    let mut options = Options::new(engine());
    let backend = std::env::var_os("HOLDFAST_BACKEND");
    options.containers = backend.is_some_and(|name| name == "containers").then(ContainerSettings::default);
    options.temp = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("clusters"));
    options
}

/// As processes, whatever else runs in containers: for what only those are promised.
pub(crate) fn as_processes() -> Options {
    Options { containers: None, ..options() }
}

pub(crate) fn topology() -> Topology {
    Topology { redis: RedisTopology::new(3, 2), chat: ChatTopology::none() }
}

/// The shared cluster, level and empty, until the guard is dropped.
pub(crate) async fn stage() -> Stage {
    static SHARED: Mutex<Option<Cluster>> = Mutex::const_new(None);
    let mut shared = SHARED.lock().await;
    match &*shared {
        Some(cluster) => cluster.reform(topology()).await.expect("a warm cluster"),
        None => *shared = Some(Cluster::start(topology(), options()).await.expect("a cluster")),
    }
    Stage(shared)
}

pub(crate) struct Stage(MutexGuard<'static, Option<Cluster>>);

impl std::ops::Deref for Stage {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.0.as_ref().expect("there as long as the stage")
    }
}

/// A primary and its replicas.
pub(crate) async fn shard(cluster: &Cluster, slot: u16) -> (Server, Vec<Server>) {
    let view = cluster.view().await;
    let primary = view.primary_of_slot(slot).expect("every slot is owned");
    (primary, view.replicas_of(primary))
}
