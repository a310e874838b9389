//! Boot: addresses, proxy, processes, one cluster of them, chat nodes. Whatever fails, what was started is ended.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep};

use super::{Cluster, Options, background::Background, files::Files};
use crate::{
    ClusterError, Links, RedisTopology, Server, Topology,
    backend::{Backend, Process, evidence},
    containers::{Containers, Land},
    ground::{Bridge, CHAT_NODES, Ground, Loopback, REDIS_NODES},
    links::Behind,
    look::{Directory, answers},
    processes::Processes,
    redis_conf, resp, tree,
};

/// A Redis node that does not serve by then will not.
const SERVING: Duration = Duration::from_secs(15);
/// Two seconds of it are Redis's own: it refuses writes so long after its start.
pub(super) const FORMED: Duration = Duration::from_secs(30);
/// An engine that has not told by then how a container ended does not.
const TOLD: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl Cluster {
    /// Returns when every Redis node is ok, every replica attached and level, and every chat node ready.
    pub async fn start(topology: Topology, options: Options) -> Result<Cluster, ClusterError> {
        fits(&topology)?;
        let files = Files::make(options.temp.as_deref(), options.keep)?;
        let background = Background::start()?;
        let (ground, backend, options) = settle(&topology, options, &files, &background).await?;
        let links = listen(&background, &ground, &backend, &topology.redis)?;
        let directory = Arc::new(directory(&ground, &topology.redis));
        let cluster = Cluster {
            backend,
            links,
            directory,
            background,
            topology: Mutex::new(topology.clone()),
            writes: Mutex::default(),
            formed: Mutex::default(),
            options,
            files,
            ground,
        };
        // From here on dropping the cluster ends what was started.
        // A process starts in a millisecond, a container in a fifth of a second.
        try_join_all(topology.redis.servers().map(|server| cluster.launch_redis(server, &topology.redis))).await?;
        for server in topology.redis.servers() {
            cluster.wait_until_serving(server).await?;
        }
        cluster.form(&topology.redis).await?;
        cluster.start_chat(topology.chat).await?;
        Ok(cluster)
    }

    /// Does not wait.
    pub(super) async fn launch_redis(&self, server: Server, redis: &RedisTopology) -> Result<(), ClusterError> {
        let place = self.backend.place(server);
        let text = redis_conf::file(redis, place.address, self.ground.announced(server));
        let written = fs::create_dir_all(&place.data).and_then(|()| fs::write(place.data.join(redis_conf::FILE), text));
        written.map_err(|error| ClusterError::Process {
            server,
            why: format!("{} cannot be written: {error}", place.data.join(redis_conf::FILE).display()),
            log: String::new(),
        })?;
        self.backend.start(server, &redis_conf::launch(&self.options.engine)).await
    }

    /// Until the process that was started answers on its port, with its data loaded.
    pub(super) async fn wait_until_serving(&self, server: Server) -> Result<(), ClusterError> {
        let until = Instant::now() + SERVING;
        loop {
            let failed = |why| Err(self.failed(server, why));
            let state = self.backend.process(server);
            let Some(pid) = state.pid() else {
                return Err(self.did_not_start(server, &self.options.engine.program).await);
            };
            let seen = match serving(self.backend.place(server).address, &tree::own_ids(pid)).await {
                Ok(()) => return Ok(()),
                Err(Unserved::Foreign(why)) => return failed(why),
                Err(Unserved::NotYet(why)) => why,
            };
            if Instant::now() > until {
                return failed(format!("does not serve after {SERVING:?}: {seen}"));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// It ended instead. Without a log the program is all that there is to look at.
    pub(super) async fn did_not_start(&self, server: Server, program: &Path) -> ClusterError {
        let until = Instant::now() + TOLD;
        while self.backend.process(server) == Process::Gone && Instant::now() < until {
            sleep(LOOK_AGAIN).await;
        }
        let state = self.backend.process(server);
        let log = self.backend.place(server).log;
        let log = match evidence(&log) {
            nothing if nothing.is_empty() => format!("; it wrote nothing to its log, {}", log.display()),
            tail => tail,
        };
        let given = self.options.containers.as_ref();
        let image = given.and_then(|given| if server.is_redis() { given.redis.as_ref() } else { given.chat.as_ref() });
        let what = image.map_or_else(|| program.display().to_string(), |image| format!("the image {image}"));
        ClusterError::Process { server, why: format!("did not start: {what} {state}"), log }
    }

    /// A process's failure with the end of its log.
    pub(super) fn failed(&self, server: Server, why: String) -> ClusterError {
        ClusterError::Process { server, why, log: evidence(&self.backend.place(server).log) }
    }
}

#[derive(Debug)]
enum Unserved {
    NotYet(String),
    /// Somebody else's server has the port.
    Foreign(String),
}

/// `ours`: the ids that the processes of the server have, as they know them.
async fn serving(address: SocketAddr, ours: &[u32]) -> Result<(), Unserved> {
    let asked = tokio::time::timeout(Duration::from_secs(1), resp::ask_once(address, None, &[&["INFO"]])).await;
    let answers = asked.map_err(|_| Unserved::NotYet("no answer within 1s".to_owned()))?;
    let answers = answers.map_err(|error| Unserved::NotYet(error.to_string()))?;
    let info = match answers.first() {
        Some(resp::RespValue::Text(info)) => info,
        other => return Err(Unserved::NotYet(format!("INFO answers {other:?}"))),
    };
    let fields = answers::fields(info);
    match fields.get("process_id").and_then(|id| id.parse::<u32>().ok()) {
        Some(id) if ours.contains(&id) => {}
        id => {
            let who = id.map_or_else(|| "another server".to_owned(), |id| format!("another server (process {id})"));
            let ours = ours.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            return Err(Unserved::Foreign(format!("{who} answers on {address} instead of process {ours}")));
        }
    }
    match fields.get("loading") {
        Some(&"0") => Ok(()),
        _ => Err(Unserved::NotYet("it is loading its data".to_owned())),
    }
}

fn fits(topology: &Topology) -> Result<(), ClusterError> {
    let wrong = |why: String| Err(ClusterError::Ground(why));
    let redis = &topology.redis;
    let nodes = u16::from(redis.shards) * (1 + u16::from(redis.replicas_per_shard));
    if redis.shards == 0 {
        return wrong("a cluster needs a shard".to_owned());
    }
    if nodes > u16::from(REDIS_NODES) {
        return wrong(format!("{nodes} Redis nodes; at most {REDIS_NODES} fit into a block of loopback addresses"));
    }
    if topology.chat.nodes > CHAT_NODES {
        return wrong(format!("{} chat nodes; at most {CHAT_NODES} fit", topology.chat.nodes));
    }
    Ok(())
}

/// Finds the place where the servers will run.
async fn settle(
    topology: &Topology,
    options: Options,
    files: &Files,
    background: &Background,
) -> Result<(Arc<Ground>, Arc<dyn Backend>, Options), ClusterError> {
    let (redis, chat) = (topology.redis.nodes(), topology.chat.nodes);
    let root = files.path().to_owned();
    let logs = options.logs.clone().unwrap_or_else(|| root.join("logs"));
    let Some(given) = options.containers.clone() else {
        let ground = Arc::new(Ground::Loopback(Loopback::claim(redis, chat)?));
        let backend = Arc::new(Processes::new(ground.clone(), root, logs));
        return Ok((ground, backend, options));
    };
    let run = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let docker = given.docker.clone();
    let land = background.work().spawn(async move { Land::take(&run, &docker).await }).await;
    let land = land.map_err(|error| ClusterError::Ground(format!("the containers backend: {error}")))??;
    let bridge = Bridge::claim(land.gateway(), redis, chat)?;
    let ground = Arc::new(Ground::Bridge(bridge));
    let (root, logs) = (absolute(&root)?, absolute(&logs)?);
    let backend = Containers::new(land, given, ground.clone(), root, logs, background.work().clone());
    Ok((ground, Arc::new(backend), options))
}

/// Mounts need whole paths.
fn absolute(path: &Path) -> Result<PathBuf, ClusterError> {
    std::path::absolute(path).map_err(|error| ClusterError::Ground(format!("{}: {error}", path.display())))
}

fn listen(
    background: &Background,
    ground: &Ground,
    backend: &Arc<dyn Backend>,
    redis: &RedisTopology,
) -> Result<Links, ClusterError> {
    let behind =
        |server: Server| Behind { node: server.number(), own: ground.own(server), announced: ground.announced(server) };
    let nodes: Vec<Behind> = redis.servers().map(behind).collect();
    let processes = Arc::downgrade(backend);
    let gone = Arc::new(move |node| {
        processes.upgrade().is_none_or(|backend| backend.process(Server::Redis(node)).has_ended())
    });
    Links::listen(background.handle(), &nodes, ground, gone)
        .map_err(|error| ClusterError::Ground(format!("the fault proxy cannot listen: {error}")))
}

fn directory(ground: &Ground, redis: &RedisTopology) -> Directory {
    Directory {
        direct: redis.servers().map(|server| (server, ground.own(server))).collect(),
        announced: redis.servers().map(|server| (ground.announced(server), server)).collect(),
        login: None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    async fn server_that_says(info: &str) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let answer = format!("${}\r\n{info}\r\n", info.len());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.read(&mut [0; 64]).await;
            stream.write_all(answer.as_bytes()).await.expect("written");
        });
        address
    }

    #[tokio::test]
    async fn a_server_that_is_not_ours_is_noticed() {
        let ours = server_that_says("process_id:7\r\nloading:0\r\n").await;
        serving(ours, &[6, 7]).await.expect("ours");
        let foreign = server_that_says("process_id:8\r\nloading:0\r\n").await;
        let Err(Unserved::Foreign(why)) = serving(foreign, &[7]).await else {
            panic!("a foreign server was taken for ours")
        };
        assert_eq!(why, format!("another server (process 8) answers on {foreign} instead of process 7"));
    }

    #[tokio::test]
    async fn a_server_that_still_loads_is_waited_for() {
        let loading = server_that_says("process_id:7\r\nloading:1\r\n").await;
        assert!(matches!(serving(loading, &[7]).await, Err(Unserved::NotYet(_))));
    }
}
