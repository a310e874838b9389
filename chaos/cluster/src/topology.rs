//! What is to be started, as data. Nothing here touches the machine. Which engine it runs on is another value
//! ([`Engine`](crate::Engine)), since finding one may take a download.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Server;

/// A Redis Cluster and the chat nodes in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    pub redis: RedisTopology,
    pub chat: ChatTopology,
}

/// Shards × (1 + replicas). `redis-1` to `redis-S` start as the primaries of shards 1 to S; after them come the
/// replicas of shard 1, those of shard 2, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisTopology {
    pub shards: u8,
    pub replicas_per_shard: u8,
    /// `cluster-node-timeout`, the same on all nodes.
    pub node_timeout: Duration,
    /// AOF with `everysec`. Without it a primary that is started again too soon wipes its replicas.
    pub appendonly: bool,
    /// Directives of redis.conf that replace or join the suite's own.
    pub settings: BTreeMap<String, String>,
}

impl RedisTopology {
    /// The suite's usual cluster: node timeout 1 s, AOF everysec.
    pub fn new(shards: u8, replicas_per_shard: u8) -> RedisTopology {
        RedisTopology {
            shards,
            replicas_per_shard,
            node_timeout: Duration::from_secs(1),
            appendonly: true,
            settings: BTreeMap::new(),
        }
    }

    pub fn nodes(&self) -> u8 {
        self.shards * (1 + self.replicas_per_shard)
    }

    pub fn servers(&self) -> impl Iterator<Item = Server> + use<> {
        (1..=self.nodes()).map(Server::Redis)
    }

    /// The shard that a node starts in, from 1.
    pub(crate) fn shard_of(&self, node: u8) -> u8 {
        if node <= self.shards { node } else { (node - self.shards - 1) / self.replicas_per_shard + 1 }
    }

    /// Slots of a shard at the start, both ends included: equal parts, the last takes the rest.
    pub(crate) fn slots_of(&self, shard: u8) -> (u16, u16) {
        let part = 16384 / u16::from(self.shards);
        let first = part * (u16::from(shard) - 1);
        (first, if shard == self.shards { 16383 } else { first + part - 1 })
    }
}

/// The chat nodes: the system under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatTopology {
    pub nodes: u8,
    pub program: Program,
    /// Appended to the program's own arguments, for every node the same.
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Where they send their spans (`OTEL_EXPORTER_OTLP_ENDPOINT`), as seen from the harness.
    pub otlp: Option<String>,
}

impl ChatTopology {
    /// Only Redis.
    pub fn none() -> ChatTopology {
        let program = Program {
            command: PathBuf::new(),
            arguments: Vec::new(),
            folder: None,
            ready: Ready::Listening,
            inherits: false,
        };
        ChatTopology { nodes: 0, program, args: Vec::new(), env: BTreeMap::new(), otlp: None }
    }

    /// Nodes of the reference server, built by this workspace.
    pub fn reference(nodes: u8, chat_node: PathBuf) -> ChatTopology {
        ChatTopology { nodes, program: Program::reference(chat_node), ..ChatTopology::none() }
    }

    pub fn servers(&self) -> impl Iterator<Item = Server> + use<> {
        (1..=self.nodes).map(Server::Chat)
    }
}

/// How to start one chat node: any Socket.IO server, told by its own flags where to listen and where Redis is.
///
/// In `arguments`, and in the values of [`ChatTopology::env`], what [`Program::MARKS`] names is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub command: PathBuf,
    pub arguments: Vec<String>,
    /// Where it runs; `None`: in a data directory of its own.
    pub folder: Option<PathBuf>,
    pub ready: Ready,
    /// Whether it finds the harness's environment in its own. The reference node does not: `CHAT_…` would change it.
    pub inherits: bool,
}

/// How a chat node shows that it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// GET of this path answers 200.
    Http(String),
    /// Its port accepts connections.
    Listening,
}

impl Program {
    /// `{listen}` address:port, `{host}`, `{port}`, `{name}` the node's name; `{redis}` redis://…,redis://… of all nodes,
    /// `{redis_nodes}` the same as address:port,…, `{redis_host}` and `{redis_port}` those of the first.
    pub const MARKS: [&'static str; 8] =
        ["listen", "host", "port", "name", "redis", "redis_nodes", "redis_host", "redis_port"];

    /// The reference node with its flags.
    pub fn reference(chat_node: PathBuf) -> Program {
        let arguments = ["--listen", "{listen}", "--redis", "{redis}", "--node-id", "{name}"];
        Program {
            command: chat_node,
            arguments: arguments.map(ToOwned::to_owned).to_vec(),
            folder: None,
            ready: Ready::Http("/ready".to_owned()),
            inherits: false,
        }
    }
}

/// What one chat node is told in the place of each of [`Program::MARKS`].
pub(crate) struct Told([String; 8]);

impl Told {
    pub(crate) fn of(address: SocketAddr, name: String, redis: &[SocketAddr]) -> Told {
        let list = |scheme: &str| redis.iter().map(|node| format!("{scheme}{node}")).collect::<Vec<_>>().join(",");
        let first = redis.first().map(|node| (node.ip().to_string(), node.port().to_string())).unwrap_or_default();
        Told([
            address.to_string(),
            address.ip().to_string(),
            address.port().to_string(),
            name,
            list("redis://"),
            list(""),
            first.0,
            first.1,
        ])
    }

    pub(crate) fn fill(&self, text: &str) -> String {
        let marks = Program::MARKS.iter().zip(&self.0);
        marks.fold(text.to_owned(), |text, (mark, value)| text.replace(&format!("{{{mark}}}"), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_belongs_to_exactly_one_shard() {
        for shards in [1, 3, 5, 7] {
            let redis = RedisTopology::new(shards, 1);
            let ranges: Vec<_> = (1..=shards).map(|shard| redis.slots_of(shard)).collect();
            assert_eq!((ranges[0].0, ranges[usize::from(shards) - 1].1), (0, 16383));
            assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{ranges:?}");
        }
    }

    #[test]
    fn replicas_follow_the_primaries_shard_by_shard() {
        let redis = RedisTopology::new(3, 2);
        let shards: Vec<u8> = (1..=redis.nodes()).map(|node| redis.shard_of(node)).collect();
        assert_eq!(shards, [1, 2, 3, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn a_program_is_told_by_its_own_flags() {
        let redis = ["127.0.0.1:1", "127.0.0.2:2"].map(|node| node.parse().expect("an address"));
        let told = Told::of("127.0.0.9:4000".parse().expect("an address"), "chat-2".to_owned(), &redis);
        assert_eq!(told.fill("-p {port} {host} --at={listen} {name}"), "-p 4000 127.0.0.9 --at=127.0.0.9:4000 chat-2");
        assert_eq!(told.fill("{redis}"), "redis://127.0.0.1:1,redis://127.0.0.2:2");
        assert_eq!(told.fill("{redis_nodes} {redis_host} {redis_port}"), "127.0.0.1:1,127.0.0.2:2 127.0.0.1 1");
    }
}
