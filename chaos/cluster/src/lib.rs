//! What is running? Topology as data becomes a started cluster of real processes, with a fault proxy between them.
//!
//! [`Topology`] and [`Engine`] → [`Cluster::start`] → verbs by [`Server`], [`Links`] between nodes, [`View`]s of what
//! every node says, a [`Watcher`] for what changes. Servers run as processes of this machine, in containers, or somewhere
//! else ([`Deployment`], [`Cluster::attach`]), behind one seam (`backend.rs`). Deliberately absent: which node to hurt and whether it was hurt
//! (`chaos-faults`), and any judgement.

mod backend;
mod binaries;
mod cluster;
mod containers;
mod engine;
mod error;
mod external;
mod ground;
mod http;
mod links;
mod look;
mod processes;
mod redis_conf;
mod resp;
mod server;
mod slots;
mod topology;
mod tree;

pub use backend::ProcessState;
pub use binaries::{BinaryError, Build, NodeOutlook, chat_node, chat_node_outlook};
pub use cluster::{Cluster, Options, Replaced};
pub use containers::{
    ContainerSettings, ContainersOutlook, DockerSettings, ImageOutlook, containers_outlook, engine_in, pull_images,
};
pub use engine::{
    Budget, Engine, EngineChoice, EngineError, EngineKind, EngineName, FAILED_ELECTION, NotAVersion, OLDEST, Places,
    Progress, UnknownEngine, Version, cache_folder, find_or_fetch,
};
pub use error::ClusterError;
pub use external::{Access, Act, Commands, Deployment, Endpoint, Found, Radius, USUAL_PATH, missing_program};
pub use links::{Carried, Kind as LinkKind, LinkState, Links, Node as LinkEnd};
pub use look::{Change, Changed, NodeView, PeerView, Role, Seen, Shard, View, Watcher};
pub use redis_conf::repl_timeout;
pub use resp::RespValue;
pub use server::{Server, UnknownServer};
pub use slots::{slot_of_key, slot_of_room};
pub use topology::{ChatTopology, Program, Ready, RedisTopology, Topology};
