//! What every Redis node says of itself and of the others, asked at one moment.

use std::{collections::BTreeMap, fmt, time::Instant};

use serde::{Deserialize, Serialize};

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
    /// Its own, both ends included; empty for a replica.
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
    /// Every node as this one sees it, itself included; handshakes apart.
    pub peers: BTreeMap<Server, PeerView>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Primary,
    /// `None`: of a node that is unknown here.
    Replica {
        of: Option<Server>,
    },
}

/// A primary, who follows it, and its slots, both ends included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    pub primary: Server,
    pub replicas: Vec<Server>,
    pub slots: Vec<(u16, u16)>,
}

/// A node in the eyes of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    pub id: String,
    pub role: Role,
    /// By this node alone: `fail?`.
    pub suspected: bool,
    /// By agreement: `fail`.
    pub failed: bool,
    pub config_epoch: u64,
    pub slots: Vec<(u16, u16)>,
}

impl View {
    /// The nodes that answered.
    pub fn answered(&self) -> impl Iterator<Item = (Server, &NodeView)> {
        self.nodes.iter().filter_map(|(server, seen)| match seen {
            Seen::Answered(node) => Some((*server, node)),
            Seen::Silent(_) => None,
        })
    }

    pub fn node(&self, server: Server) -> Option<&NodeView> {
        match self.nodes.get(&server) {
            Some(Seen::Answered(node)) => Some(node),
            _ => None,
        }
    }

    /// The highest `cluster_current_epoch` of any node.
    pub fn epoch(&self) -> u64 {
        self.answered().map(|(_, node)| node.current_epoch).max().unwrap_or(0)
    }

    /// Who owns the slot: the claimant with the highest config epoch in any answer. A dead primary owns its slots until
    /// a survivor says otherwise.
    pub fn primary_of_slot(&self, slot: u16) -> Option<Server> {
        self.claims().filter(|(_, peer)| holds(&peer.slots, slot)).max_by_key(|(_, peer)| peer.config_epoch).map(first)
    }

    /// Slots that this server owns by the highest claim, as far as any answer names it.
    pub fn slots_of(&self, server: Server) -> Vec<(u16, u16)> {
        let mut own = self.claims().filter(|(claimant, peer)| *claimant == server && !peer.slots.is_empty());
        let claimed = own.by_ref().max_by_key(|(_, peer)| peer.config_epoch).map(|(_, peer)| peer.slots.clone());
        let still = |(low, _): &(u16, u16)| self.primary_of_slot(*low) == Some(server);
        claimed.unwrap_or_default().into_iter().filter(still).collect()
    }

    /// Every primary that owns slots, also a dead one that nobody has replaced.
    pub fn primaries(&self) -> Vec<Server> {
        self.nodes.keys().copied().filter(|server| !self.slots_of(*server).is_empty()).collect()
    }

    /// By their lowest slot.
    pub fn shards(&self) -> Vec<Shard> {
        let shard = |primary| Shard { primary, replicas: self.replicas_of(primary), slots: self.slots_of(primary) };
        let mut shards: Vec<_> = self.primaries().into_iter().map(shard).collect();
        shards.sort_by_key(|shard| shard.slots.first().copied());
        shards
    }

    /// Nodes that follow this one: by their own word, or by others' where they do not answer.
    pub fn replicas_of(&self, primary: Server) -> Vec<Server> {
        let follows = Role::Replica { of: Some(primary) };
        let is_replica = |server: &Server| match self.node(*server) {
            Some(node) => node.role == follows,
            None => self.claims().any(|(named, peer)| named == *server && peer.role == follows),
        };
        self.nodes.keys().copied().filter(is_replica).collect()
    }

    /// What every answering node says of every node.
    fn claims(&self) -> impl Iterator<Item = (Server, &PeerView)> {
        self.answered().flat_map(|(_, node)| node.peers.iter().map(|(server, peer)| (*server, peer)))
    }

    /// Why the cluster is not level, if it is not: every node ok and known to all, every replica attached and caught up.
    pub fn unlevel(&self) -> Option<String> {
        self.nodes.iter().find_map(|(server, seen)| match seen {
            Seen::Silent(why) => Some(format!("{server} is silent ({why})")),
            Seen::Answered(node) => self.unlevel_node(*server, node),
        })
    }

    fn unlevel_node(&self, server: Server, node: &NodeView) -> Option<String> {
        if !node.state_ok {
            return Some(format!("{server} says cluster_state:fail"));
        }
        if node.peers.len() < self.nodes.len() {
            return Some(format!("{server} knows {} of {} nodes", node.peers.len(), self.nodes.len()));
        }
        if node.current_epoch < self.epoch() {
            return Some(format!("{server} is in epoch {} of {}", node.current_epoch, self.epoch()));
        }
        if let Some((other, _)) = node.peers.iter().find(|(_, peer)| peer.suspected || peer.failed) {
            return Some(format!("{server} calls {other} failing"));
        }
        for (other, peer) in &node.peers {
            if self.node(*other).is_some_and(|told| told.role != peer.role) {
                return Some(format!("{server} takes {other} for a {}", peer.role));
            }
        }
        match node.role {
            Role::Primary => self.behind(server, node),
            Role::Replica { .. } if !node.link_up => Some(format!("{server} has lost its primary")),
            Role::Replica { .. } => None,
        }
    }

    fn behind(&self, server: Server, primary: &NodeView) -> Option<String> {
        self.replicas_of(server).into_iter().find_map(|replica| {
            if !primary.online.contains_key(&replica) {
                return Some(format!("{replica} is not attached to {server}"));
            }
            let applied = self.node(replica).map_or(0, |node| node.offset);
            let behind = primary.offset.saturating_sub(applied);
            (behind > LEVEL).then(|| format!("{replica} is {behind} bytes behind {server}"))
        })
    }
}

/// Nodes are not asked at the very same moment, and a primary in use writes on.
const LEVEL: u64 = 16 << 10;

fn holds(slots: &[(u16, u16)], slot: u16) -> bool {
    slots.iter().any(|(low, high)| (*low..=*high).contains(&slot))
}

fn first<A, B>(pair: (A, B)) -> A {
    pair.0
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

/// One line: what a wait that timed out saw last.
impl fmt::Display for View {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (server, seen)) in self.nodes.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            match seen {
                Seen::Silent(why) => write!(out, "{comma}{server} silent ({why})")?,
                Seen::Answered(node) => {
                    let state = if node.state_ok { "" } else { ", not ok" };
                    let link = if node.link_up { "" } else { ", link down" };
                    write!(out, "{comma}{server} {} (epoch {}{state}{link})", node.role, node.config_epoch)?;
                }
            }
        }
        Ok(())
    }
}
