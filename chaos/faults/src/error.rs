//! Why a fault could not be injected or healed.

use std::io;

use chaos_cluster::{ClusterError, Server};

#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    #[error("{target}: {why}")]
    Target { target: String, why: String },
    #[error("{server} is not running")]
    NotRunning { server: Server },
    #[error("heal list: {0}")]
    HealList(io::Error),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}
