//! What is running? Topology as data becomes a started cluster of real processes, with a fault proxy between them.

mod binaries;
mod cluster;
mod engine;
mod error;
mod links;
mod resp;
mod server;
mod slots;
mod topology;
mod view;

pub use binaries::{BinaryError, Build, chat_node};
pub use cluster::{Change, Changed, Cluster, Options, ProcessState, Replaced, Watcher};
pub use engine::{
    Budget, Engine, EngineChoice, EngineError, EngineKind, EngineName, FAILED_ELECTION, NotAVersion, OLDEST, Places,
    Progress, UnknownEngine, Version, cache_folder, find_or_fetch,
};
pub use error::ClusterError;
pub use links::{Carried, Kind as LinkKind, LinkState, Links, Node as LinkEnd};
pub use resp::RespValue;
pub use server::{Server, UnknownServer};
pub use slots::{slot_of_key, slot_of_room};
pub use topology::{ChatTopology, Program, Ready, RedisTopology, Topology};
pub use view::{NodeView, PeerView, Role, Seen, View};
