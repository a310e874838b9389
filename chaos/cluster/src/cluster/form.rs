//! Makes one cluster of servers that run: for the first time, or again, warm and emptied.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use tokio::time::{Instant, sleep};

use super::{Cluster, lock, start::FORMED};
use crate::{ClusterError, RedisTopology, RespValue, Server, Topology, backend::Signal, redis_conf};

const LOOK_AGAIN: Duration = Duration::from_millis(20);
const RESETS: u32 = 20;

impl Cluster {
    /// Returns when it is level.
    pub(super) async fn form(&self, redis: &RedisTopology) -> Result<(), ClusterError> {
        let mut ids = BTreeMap::new();
        for server in redis.servers() {
            ids.insert(server, self.ask(server, &["CLUSTER", "MYID"]).await?);
            self.introduce(server, redis).await?;
        }
        for server in redis.servers().filter(|server| server.number() > redis.shards) {
            let primary = Server::Redis(redis.shard_of(server.number()));
            let id = ids[&primary].text().unwrap_or_default();
            self.follow(server, primary, id).await?;
        }
        self.wait_until_level(FORMED).await?;
        *lock(&self.writes) = self.write_calls().await;
        *lock(&self.formed) = redis.servers().map(|server| (server, log_length(&self.log(server)))).collect();
        Ok(())
    }

    /// Gives a node its config epoch (all different, or the nodes spend time on settling it), a primary its slots, and
    /// makes it known to those before it.
    async fn introduce(&self, server: Server, redis: &RedisTopology) -> Result<(), ClusterError> {
        let number = server.number();
        self.order(server, &["CLUSTER", "SET-CONFIG-EPOCH", &number.to_string()]).await?;
        if number <= redis.shards {
            let (low, high) = redis.slots_of(number);
            self.order(server, &["CLUSTER", "ADDSLOTSRANGE", &low.to_string(), &high.to_string()]).await?;
        }
        for other in (1..number).map(Server::Redis) {
            let address = self.ground.announced(other);
            let (host, port) = (address.ip().to_string(), address.port().to_string());
            self.order(server, &["CLUSTER", "MEET", &host, &port]).await?;
        }
        Ok(())
    }

    /// Again and again until it knows the primary that it shall follow.
    async fn follow(&self, server: Server, primary: Server, id: &str) -> Result<(), ClusterError> {
        let until = Instant::now() + FORMED;
        loop {
            match self.order(server, &["CLUSTER", "REPLICATE", id]).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > until => {
                    return Err(self.failed(server, format!("cannot be made a replica of {primary}: {error}")));
                }
                Err(_) => sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Asks for something that is answered with OK.
    pub(super) async fn order(&self, server: Server, command: &[&str]) -> Result<(), ClusterError> {
        match self.ask(server, command).await? {
            RespValue::Text(_) => Ok(()),
            other => Err(ClusterError::Refused { server, command: command.join(" "), answer: format!("{other:?}") }),
        }
    }

    /// Heals everything, empties the warm servers and forms the cluster anew, which takes about a second where a boot
    /// takes more than two (as much where servers were killed, or took part in an election). Chat nodes are ended, and those of `topology` started. The number of Redis nodes stays; their
    /// settings may change, unless Redis reads them only at its start.
    pub async fn reform(&self, topology: Topology) -> Result<(), ClusterError> {
        let redis = &topology.redis;
        let nodes = lock(&self.topology).redis.nodes();
        if redis.nodes() != nodes {
            let why = format!("{nodes} Redis servers are running; {} cannot be made of them", redis.nodes());
            return Err(ClusterError::Ground(why));
        }
        self.end_chat().await?;
        self.links.clear();
        for server in redis.servers() {
            self.warm(server, redis).await?;
        }
        for server in redis.servers() {
            self.wait_until_serving(server).await?;
        }
        for server in redis.servers() {
            self.empty(server, redis).await?;
        }
        self.estrange(redis).await?;
        lock(&self.topology).redis = topology.redis.clone();
        self.links.forget();
        self.form(redis).await?;
        self.start_chat(topology.chat).await
    }

    /// Running, whatever was done to it. One that was killed starts empty.
    async fn warm(&self, server: Server, redis: &RedisTopology) -> Result<(), ClusterError> {
        if self.took_part_in_an_election(server) {
            self.kill(server).await?;
        }
        if self.backend.process(server).has_ended() {
            // What is left of its data is of the cluster before.
            let _ = fs::remove_dir_all(self.backend.place(server).data);
            self.launch_redis(server, redis).await?;
        } else {
            self.backend.signal(server, Signal::Resume).await?;
        }
        Ok(())
    }

    /// A server waits max(4 × timeout, 4 s) from one election to its next, and no reset makes it forget: formed again
    /// warm, its next promotion would be late.
    fn took_part_in_an_election(&self, server: Server) -> bool {
        let formed = lock(&self.formed).get(&server).copied().unwrap_or(0);
        let log = fs::read(self.log(server)).unwrap_or_default();
        let since = String::from_utf8_lossy(log.get(formed..).unwrap_or_default());
        ["Start of election", "initiate the election"].iter().any(|sign| since.contains(sign))
    }

    /// As if it had just been started.
    async fn empty(&self, server: Server, redis: &RedisTopology) -> Result<(), ClusterError> {
        let settings = redis_conf::changeable(redis);
        let pairs = settings.iter().flat_map(|(name, value)| [&**name, value]);
        let set: Vec<&str> = ["CONFIG", "SET"].into_iter().chain(pairs).collect();
        self.order(server, &set).await?;
        // A replica refuses FLUSHALL, and empties itself when it is reset; a primary with keys refuses the reset, and one may
        // become primary in between, or be written to by what is not quite over.
        for left in (0..RESETS).rev() {
            self.ask(server, &["FLUSHALL"]).await?;
            match self.order(server, &["CLUSTER", "RESET", "HARD"]).await {
                Err(ClusterError::Refused { .. }) if left > 0 => sleep(LOOK_AGAIN).await,
                done => {
                    done?;
                    break;
                }
            }
        }
        for command in [&["FLUSHALL"][..], &["FUNCTION", "FLUSH"], &["CONFIG", "RESETSTAT"]] {
            self.order(server, command).await?;
        }
        Ok(())
    }

    /// Until none knows another. Valkey introduces itself again to a node that seems to have forgotten it, and so one that
    /// still had its old cluster may have met one that was emptied before: the longer ago some were started anew, as
    /// containers are slowly, the likelier.
    async fn estrange(&self, redis: &RedisTopology) -> Result<(), ClusterError> {
        for _ in 0..RESETS {
            let mut met = Vec::new();
            for server in redis.servers() {
                let nodes = self.ask(server, &["CLUSTER", "NODES"]).await?;
                if nodes.text().is_none_or(|nodes| nodes.lines().count() != 1) {
                    met.push(server);
                }
            }
            if met.is_empty() {
                return Ok(());
            }
            for server in met {
                self.order(server, &["CLUSTER", "RESET", "HARD"]).await?;
            }
            sleep(LOOK_AGAIN).await;
        }
        Err(ClusterError::Ground(format!("emptied servers know each other again after {RESETS} resets")))
    }
}

fn log_length(log: &Path) -> usize {
    log.metadata().map_or(0, |file| file.len() as usize)
}
