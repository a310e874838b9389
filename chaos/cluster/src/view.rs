//! What every Redis node says of itself and of the others, asked at one moment.
//!
//! Nodes are asked directly, not through the fault proxy: a cut link blinds the cluster, not the observer.

use std::{collections::BTreeMap, fmt, time::Instant};

use crate::Server;

/// The answers of all nodes.
#[derive(Clone, Debug)]
pub struct View {
    pub at: Instant,
    pub nodes: BTreeMap<Server, Seen>,
}

/// One node's answer, or why there is none (dead, hung, starting).
#[derive(Clone, Debug)]
pub enum Seen {
    Answered(NodeView),
    Silent(String),
}

/// A node by its own word.
#[derive(Clone, Debug)]
pub struct NodeView {
    pub id: String,
    pub role: Role,
    /// Both ends included.
    pub slots: Vec<(u16, u16)>,
    pub config_epoch: u64,
    pub current_epoch: u64,
    /// `cluster_state:ok`.
    pub state_ok: bool,
    /// Of a replica: `master_link_status:up`. Of a primary: true.
    pub link_up: bool,
    /// Replication offset: of a primary what it wrote, of a replica what it applied.
    pub offset: u64,
    /// Of a primary: replicas that it calls online, with the offset that each acknowledged.
    pub online: BTreeMap<Server, u64>,
    /// Every node as this one sees it, itself included.
    pub peers: BTreeMap<Server, PeerView>,
}

/// Owned slots count only for a primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Primary,
    /// `None`: of a node that is unknown here.
    Replica {
        of: Option<Server>,
    },
}

/// A node in the eyes of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    pub id: String,
    pub primary: bool,
    pub of: Option<Server>,
    /// Suspected by this node alone.
    pub suspected: bool,
    /// Failed by agreement.
    pub failed: bool,
    pub config_epoch: u64,
    pub slots: Vec<(u16, u16)>,
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Primary => write!(out, "primary"),
            Role::Replica { of: Some(primary) } => write!(out, "replica of {primary}"),
            Role::Replica { of: None } => write!(out, "replica of a stranger"),
        }
    }
}
