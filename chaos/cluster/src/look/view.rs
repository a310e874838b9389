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

    /// Why the cluster is not level, if it is not: every node ok and known to all with its role and slots, every replica
    /// attached and caught up.
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
            let Some(told) = self.node(*other) else { continue };
            if told.role != peer.role {
                return Some(format!("{server} takes {other} for a {}", peer.role));
            }
            if told.slots != peer.slots {
                return Some(format!(
                    "{server} gives {other} the slots {}, its own are {}",
                    said(&peer.slots),
                    said(&told.slots)
                ));
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

fn said(slots: &[(u16, u16)]) -> String {
    let ranges: Vec<_> = slots.iter().map(|(low, high)| format!("{low}-{high}")).collect();
    if ranges.is_empty() { "none".to_owned() } else { ranges.join(" ") }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn primary(number: u8, slots: (u16, u16)) -> PeerView {
        let (id, config_epoch) = (format!("id-{number}"), u64::from(number));
        PeerView { id, role: Role::Primary, suspected: false, failed: false, config_epoch, slots: vec![slots] }
    }

    fn view_of_two() -> View {
        let peers = [primary(1, (0, 8191)), primary(2, (8192, 16383))];
        let known: BTreeMap<_, _> = [1, 2].map(Server::Redis).into_iter().zip(peers).collect();
        let node = |(server, own): (&Server, &PeerView)| {
            let node = NodeView {
                id: own.id.clone(),
                role: own.role,
                slots: own.slots.clone(),
                config_epoch: own.config_epoch,
                current_epoch: 2,
                state_ok: true,
                link_up: true,
                offset: 0,
                online: BTreeMap::new(),
                peers: known.clone(),
            };
            (*server, Seen::Answered(node))
        };
        View { at: Instant::now(), nodes: known.iter().map(node).collect() }
    }

    #[test]
    fn nodes_that_disagree_about_slots_are_not_level() {
        let mut view = view_of_two();
        assert_eq!((view.unlevel(), view.shards().len()), (None, 2));
        // It has not heard yet that the first one gave up its slots to the second.
        let Some(Seen::Answered(second)) = view.nodes.get_mut(&Server::Redis(2)) else { panic!("it answered") };
        (second.slots, second.config_epoch) = (vec![(0, 16383)], 3);
        let own = second.peers.get_mut(&Server::Redis(2)).expect("itself");
        (own.slots, own.config_epoch) = (vec![(0, 16383)], 3);
        let why = view.unlevel().expect("not level");
        assert_eq!(why, "redis-1 gives redis-2 the slots 8192-16383, its own are 0-16383");
    }
}
