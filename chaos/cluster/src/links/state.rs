//! A link is a direction: bytes of one kind that flow from one node to another.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// An end of a link: a Redis node by number, or whoever is not one (chat nodes, clients of this harness).
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
    /// Gossip and votes.
    Bus,
    /// Everything else on the client port.
    Client,
}

/// What happens to the bytes of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    /// Each byte arrives so much later; order is kept.
    pub delay: Duration,
    /// Nothing arrives, and connections stay. Once healed, what was sent arrives, as TCP's retransmission would bring it.
    pub cut: bool,
}

impl LinkState {
    pub const CLEAR: LinkState = LinkState { delay: Duration::ZERO, cut: false };
    pub const CUT: LinkState = LinkState { delay: Duration::ZERO, cut: true };

    pub const fn delayed(delay: Duration) -> LinkState {
        LinkState { delay, cut: false }
    }
}

/// Evidence: what a link did. Bytes, `refused` apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Arrived.
    pub passed: u64,
    /// Of these, arrived late on purpose.
    pub delayed: u64,
    /// Sent while the link was cut.
    pub withheld: u64,
    /// Never arrived: the source died first, or the destination went away.
    pub dropped: u64,
    /// Held right now.
    pub held: u64,
    /// Connections that were opened while the link was cut.
    pub refused: u64,
}

impl fmt::Display for Node {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Redis(number) => write!(out, "redis-{number}"),
            Node::Clients => write!(out, "clients"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Kind::Replication => "replication",
            Kind::Bus => "bus",
            Kind::Client => "client",
        })
    }
}
