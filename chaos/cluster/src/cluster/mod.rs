//! The handle of a started cluster. Verbs name a [`Server`]; which of them is a primary, a [`View`] says.
//!
//! `start.rs` boots, `attach.rs` takes servers that run already, `form.rs` makes nine servers one cluster (and again, warm), `verbs.rs` does things to processes,
//! `replace.rs` starts a killed node again when that is safe, `questions.rs` asks, `chat.rs` runs the chat nodes.

mod attach;
mod background;
mod chat;
mod files;
mod form;
mod questions;
mod replace;
mod start;
mod verbs;

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub(crate) use background::Work;
pub use replace::Replaced;

use crate::{
    ChatTopology, ContainerSettings, Engine, Links, Server, Topology, backend::Backend, ground::Ground, look::Directory,
};
use background::Background;
use files::Files;

/// How a cluster is started.
#[derive(Clone, Debug)]
pub struct Options {
    pub engine: Engine,
    /// Data directories are made below it; `None`: the system's place for temporary files.
    pub temp: Option<PathBuf>,
    /// Where `redis-1.log`, `chat-1.log` … go; `None`: beside the data.
    pub logs: Option<PathBuf>,
    /// Data is left where it is.
    pub keep: bool,
    /// In containers, of these images; `None`: as processes of this machine.
    pub containers: Option<ContainerSettings>,
}

impl Options {
    pub fn new(engine: Engine) -> Options {
        Options { engine, temp: None, logs: None, keep: false, containers: None }
    }
}

/// A running cluster. Dropping it ends every process by its id and removes what was stored.
pub struct Cluster {
    // Dropped in this order: processes end before their links, files and addresses go.
    backend: Arc<dyn Backend>,
    links: Links,
    directory: Arc<Directory>,
    background: Background,
    topology: Mutex<Topology>,
    /// Write calls of each primary when the busiest was last asked for.
    writes: Mutex<BTreeMap<Server, u64>>,
    /// Length of each log when the cluster was last formed.
    formed: Mutex<BTreeMap<Server, usize>>,
    options: Options,
    files: Files,
    ground: Arc<Ground>,
}

impl Cluster {
    /// As it was last formed.
    pub fn topology(&self) -> Topology {
        lock(&self.topology).clone()
    }

    pub fn engine(&self) -> &Engine {
        &self.options.engine
    }

    pub fn links(&self) -> &Links {
        &self.links
    }

    /// What its boot removed of harnesses that were killed, and what it left alone: lines for people.
    pub fn swept(&self) -> &[String] {
        self.backend.swept()
    }

    /// Every Redis node, then every chat node.
    pub fn servers(&self) -> Vec<Server> {
        let topology = lock(&self.topology);
        topology.redis.servers().chain(topology.chat.servers()).collect()
    }

    fn redis_servers(&self) -> Vec<Server> {
        lock(&self.topology).redis.servers().collect()
    }

    fn chat(&self) -> ChatTopology {
        lock(&self.topology).chat.clone()
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Cluster")
            .field("engine", &self.options.engine)
            .field("files", &self.files.path())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
