//! The handle of a started cluster.
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use crate::{ChatTopology, ClusterError, Engine, Links, RespValue, Role, Server, Topology, View};

/// How a cluster is started.
#[derive(Clone, Debug)]
pub struct Options {
    pub engine: Engine,
    /// Data directories are made below it; `None`: the system's place for temporary files.
    pub temp: Option<PathBuf>,
    /// Logs of all processes, `redis-1.log`, …; `None`: beside the data.
    pub logs: Option<PathBuf>,
    /// Leave data and logs where they are.
    pub keep: bool,
    /// Given to chat nodes as `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub otlp: Option<String>,
}

/// A running cluster. Dropping it ends every process and removes what was stored.
pub struct Cluster {
    _x: (),
}

/// What made it safe to start a killed node again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It owned no slots: it was a replica.
    OwnedNothing,
    /// A survivor names this primary for its slots.
    By(Server),
    /// No majority was left to elect anyone, so this replica was told to take over.
    TakenOver(Server),
    /// No live replica: its own data is the only copy.
    NobodyLeft,
}

/// What the watcher saw, when it saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: Instant,
    pub server: Server,
    pub what: Changed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// By its own word.
    Role { role: Role, config_epoch: u64, slots: Vec<(u16, u16)> },
    /// The highest `cluster_current_epoch` of any node rose: an election began (a failed one when no role changes).
    Epoch { from: u64, to: u64 },
    /// It stopped answering.
    Silent,
    /// It answers again.
    Answers,
}

/// Ends its watching when dropped.
pub struct Watcher {
    pub changes: mpsc::UnboundedReceiver<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    Running,
    Paused,
    Ended,
}

impl Cluster {
    pub async fn start(_topology: Topology, _options: Options) -> Result<Cluster, ClusterError> {
        unimplemented!()
    }
    pub fn topology(&self) -> Topology {
        unimplemented!()
    }
    pub fn engine(&self) -> &Engine {
        unimplemented!()
    }
    pub fn servers(&self) -> Vec<Server> {
        unimplemented!()
    }
    pub fn links(&self) -> &Links {
        unimplemented!()
    }

    // verbs
    /// SIGKILL; returns when it is gone.
    pub async fn kill(&self, _server: Server) -> Result<(), ClusterError> {
        unimplemented!()
    }
    /// SIGTERM; returns when it is gone, at most `within` later.
    pub async fn terminate(&self, _server: Server, _within: Duration) -> Result<(), ClusterError> {
        unimplemented!()
    }
    /// SIGSTOP; returns when it is stopped.
    pub async fn pause(&self, _server: Server) -> Result<(), ClusterError> {
        unimplemented!()
    }
    pub async fn resume(&self, _server: Server) -> Result<(), ClusterError> {
        unimplemented!()
    }
    /// Starts an ended process again, with its data, at once. A killed primary is better started by `restart_when_replaced`.
    pub async fn start_again(&self, _server: Server) -> Result<(), ClusterError> {
        unimplemented!()
    }
    /// Waits until a survivor names another primary for its slots, then starts it again.
    pub async fn restart_when_replaced(&self, _server: Server, _within: Duration) -> Result<Replaced, ClusterError> {
        unimplemented!()
    }

    // looking
    pub fn pid(&self, _server: Server) -> Option<u32> {
        unimplemented!()
    }
    pub fn state(&self, _server: Server) -> ProcessState {
        unimplemented!()
    }
    /// Where clients reach it: a Redis node through the fault proxy.
    pub fn address(&self, _server: Server) -> SocketAddr {
        unimplemented!()
    }
    /// Where it listens itself, past the fault proxy.
    pub fn direct_address(&self, _server: Server) -> SocketAddr {
        unimplemented!()
    }
    pub fn data_directory(&self, _server: Server) -> PathBuf {
        unimplemented!()
    }
    pub fn log(&self, _server: Server) -> PathBuf {
        unimplemented!()
    }
    pub fn log_tail(&self, _server: Server, _lines: usize) -> String {
        unimplemented!()
    }
    /// `http://address:port` of every chat node.
    pub fn chat_urls(&self) -> Vec<String> {
        unimplemented!()
    }
    /// `redis://…,redis://…` through the fault proxy.
    pub fn redis_urls(&self) -> String {
        unimplemented!()
    }
    pub async fn view(&self) -> View {
        unimplemented!()
    }
    /// Sends one command to one node, past the fault proxy.
    pub async fn ask(&self, _server: Server, _command: &[&str]) -> Result<RespValue, ClusterError> {
        unimplemented!()
    }
    pub async fn primary_of_slot(&self, _slot: u16) -> Result<Server, ClusterError> {
        unimplemented!()
    }
    pub async fn replicas_of(&self, _primary: Server) -> Result<Vec<Server>, ClusterError> {
        unimplemented!()
    }
    /// The primary that executed the most write calls since this was last asked (or the start).
    pub async fn busiest_primary(&self) -> Result<Server, ClusterError> {
        unimplemented!()
    }
    pub async fn write_calls(&self) -> BTreeMap<Server, u64> {
        unimplemented!()
    }
    /// Waits until the view satisfies the condition; a time-out says what was seen last.
    pub async fn wait_for(
        &self,
        _what: &str,
        _within: Duration,
        _holds: impl FnMut(&View) -> bool + Send,
    ) -> Result<View, ClusterError> {
        unimplemented!()
    }
    /// Every node ok, every replica attached and level.
    pub async fn wait_until_level(&self, _within: Duration) -> Result<View, ClusterError> {
        unimplemented!()
    }
    pub fn watch(&self, _every: Duration) -> Watcher {
        unimplemented!()
    }

    /// Heals everything, empties the warm servers and forms the cluster anew; chat nodes are replaced by those given.
    pub async fn reform(&self, _topology: Topology) -> Result<(), ClusterError> {
        unimplemented!()
    }
    pub async fn start_chat(&self, _chat: ChatTopology) -> Result<(), ClusterError> {
        unimplemented!()
    }
    /// Ends every process by its id.
    pub async fn shutdown(self) -> Result<(), ClusterError> {
        unimplemented!()
    }
}
