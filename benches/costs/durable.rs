//! The log on a real Redis Cluster, 3 + 3 on this machine: what appends, their fence and a resume cost the node. The
//! servers' own time is theirs, and the time that passes until an ack is not measured here.

use std::cell::OnceCell;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::core_time::CoreTime;
use chaos_cluster::{
    ChatTopology, Cluster, Engine, EngineChoice, EngineError, Options, Places, RedisTopology, Topology, cache_folder,
    find_or_fetch,
};
use criterion::{BenchmarkId, Criterion, Throughput};
use system_delivery::{Config, Delivery, Edge, Log, RedisAddress, Silent};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use crate::sessions::{append, resume, room};

const HISTORY: usize = 1000;
const READY: Duration = Duration::from_secs(30);

#[derive(Clone)]
struct Tcp;

impl Edge for Tcp {
    type Stream = TcpStream;

    async fn connect(&self, address: &RedisAddress) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((&*address.host, address.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn now_ms(&self) -> u64 {
        std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64
    }

    fn random(&self) -> u64 {
        rand::random()
    }
}

/// The servers have a runtime of their own; the log's is this thread, whose time is what is measured.
struct Stage {
    log: Log<Tcp>,
    here: Runtime,
    _cluster: Cluster,
    _there: Runtime,
}

fn engine() -> Result<Engine, EngineError> {
    let given = |name| std::env::var_os(name);
    let places = Places {
        given: given("HOLDFAST_REDIS_SERVER").map(PathBuf::from),
        path: given("PATH"),
        cache: cache_folder(given("XDG_CACHE_HOME"), given("HOME")),
        fetch: true,
    };
    find_or_fetch(EngineChoice::Any, &places, &|_| {})
}

impl Stage {
    fn boot(engine: Engine) -> Stage {
        let there = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let topology = Topology { redis: RedisTopology::new(3, 1), chat: ChatTopology::none() };
        let cluster = there.block_on(Cluster::start(topology, Options::new(engine)));
        let cluster = cluster.unwrap_or_else(|error| panic!("no cluster: {error}"));
        let nodes = cluster.redis_urls().split(',').map(|url| url.parse().expect("a URL of Redis")).collect();
        let here = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let log = here.block_on(async {
            let log = Log::start(Tcp, Config::new(nodes), Arc::new(Silent)).expect("the defaults go together");
            let late = Instant::now() + READY;
            while !log.status().ready {
                assert!(Instant::now() < late, "the log is not ready: {:?}", log.status());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            log
        });
        Stage { log, here, _cluster: cluster, _there: there }
    }
}

pub(crate) fn log(bench: &mut Criterion<CoreTime>) {
    let engine = match engine() {
        Ok(engine) => engine,
        Err(why) => return not_measured(&why),
    };
    let mut group = bench.benchmark_group("system/log");
    // Only when a case is asked for.
    let stage = OnceCell::new();
    let stage = || stage.get_or_init(|| Stage::boot(engine.clone()));
    for messages in [1, 64, 512] {
        group.throughput(Throughput::Elements(messages as u64));
        group.bench_function(BenchmarkId::new("append and fence", messages), |bench| {
            let Stage { log, here, .. } = stage();
            let room = room(&format!("append-{messages}"));
            bench.iter(|| here.block_on(append(log, &room, messages)));
        });
    }
    for behind in [1, HISTORY] {
        group.throughput(Throughput::Elements(behind as u64));
        group.bench_function(BenchmarkId::new("resume", behind), |bench| {
            let Stage { log, here, .. } = stage();
            let room = room(&format!("resume-{behind}"));
            let offsets = here.block_on(append(log, &room, HISTORY + 1));
            bench.iter(|| here.block_on(resume(log, &room, &offsets, behind)));
        });
    }
    group.finish();
}

fn not_measured(why: &EngineError) {
    eprintln!("NOT MEASURED: append, fence and resume on Redis Cluster: {why}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "where CI=true everything has to be there");
}
