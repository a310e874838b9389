//! A link is a direction: bytes of one kind that flow from one node to another.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// An end of a link: a Redis node by number, or whoever is not one (chat nodes, this harness's own clients).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    Redis(u8),
    Clients,
}

/// What a link carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Between Redis nodes on the client port.
    Replication,
    /// Gossip, votes.
    Bus,
    /// Everything else on the client port.
    Client,
}

/// What happens to bytes on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    /// Each byte arrives so much later; order is kept.
    pub delay: Duration,
    /// Nothing arrives; connections stay. Healed, what was sent arrives, as TCP's retransmission would bring it.
    pub cut: bool,
}

impl LinkState {
    pub const CLEAR: LinkState = LinkState { delay: Duration::ZERO, cut: false };
    pub const CUT: LinkState = LinkState { delay: Duration::ZERO, cut: true };

    pub const fn delayed(delay: Duration) -> LinkState {
        LinkState { delay, cut: false }
    }
}

/// Evidence: what a link did since the cluster was formed. Bytes, connections apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Arrived.
    pub passed: u64,
    /// Of these, arrived late on purpose.
    pub delayed: u64,
    /// Sent while the link was cut.
    pub withheld: u64,
    /// Never arrived, because the source died first (or the destination went away).
    pub dropped: u64,
    /// Held right now.
    pub held: u64,
    /// Connections that were asked for while the link was cut.
    pub refused: u64,
}

#[derive(Debug)]
pub struct Links;
impl Links {
    /// From now on bytes of `kind` from `from` to `to` are treated so. Also those that are held already.
    pub fn set(&self, _from: Node, _to: Node, _kind: Kind, _state: LinkState) {
        unimplemented!()
    }
    pub fn state(&self, _from: Node, _to: Node, _kind: Kind) -> LinkState {
        unimplemented!()
    }
    pub fn carried(&self, _from: Node, _to: Node, _kind: Kind) -> Carried {
        unimplemented!()
    }
    /// Heals every link.
    pub fn clear(&self) {
        unimplemented!()
    }
}

impl fmt::Display for Node {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Redis(number) => write!(out, "redis-{number}"),
            Node::Clients => write!(out, "clients"),
        }
    }
}
