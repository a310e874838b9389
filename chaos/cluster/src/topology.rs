//! What is to be started, as data. Nothing here touches the machine. Which engine it runs on is another value
//! ([`Engine`](crate::Engine)), since finding one may take a download.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

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
        let program =
            Program { command: PathBuf::new(), arguments: Vec::new(), ready: Ready::Listening, inherits: false };
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
/// In `arguments` these are replaced: `{listen}` address:port, `{host}`, `{port}`, `{redis}` redis://…,redis://… of all
/// nodes, `{name}` the node's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub command: PathBuf,
    pub arguments: Vec<String>,
    pub ready: Ready,
    /// Whether it finds the harness's environment in its own. The reference node does not: `CHAT_…` would change it.
    pub inherits: bool,
}

/// How a chat node shows that it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// GET of this path answers 200.
    Http(String),
    /// Its port accepts connections.
    Listening,
}

impl Program {
    /// The reference node with its flags.
    pub fn reference(chat_node: PathBuf) -> Program {
        let arguments = ["--listen", "{listen}", "--redis", "{redis}", "--node-id", "{name}"];
        Program {
            command: chat_node,
            arguments: arguments.map(ToOwned::to_owned).to_vec(),
            ready: Ready::Http("/ready".to_owned()),
            inherits: false,
        }
    }

    pub(crate) fn filled(&self, host: &str, port: u16, redis: &str, name: &str) -> Vec<String> {
        let (listen, port) = (format!("{host}:{port}"), port.to_string());
        let table = [("{listen}", &*listen), ("{host}", host), ("{port}", &port), ("{redis}", redis), ("{name}", name)];
        let fill = |text: &String| table.iter().fold(text.clone(), |text, (mark, value)| text.replace(mark, value));
        self.arguments.iter().map(fill).collect()
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
        let mut program = Program::reference("chat-node".into());
        program.arguments = ["-p", "{port}", "--at={listen}", "{redis}", "{name}"].map(ToOwned::to_owned).to_vec();
        let told = program.filled("127.0.0.9", 4000, "redis://a:1,redis://b:2", "chat-2");
        assert_eq!(told, ["-p", "4000", "--at=127.0.0.9:4000", "redis://a:1,redis://b:2", "chat-2"]);
    }
}
