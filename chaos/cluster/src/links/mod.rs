//! The fault proxy: every connection between Redis nodes, and from clients to them, passes through it.
//!
//! A node listens on an address of its own and announces the proxy's, same ports. Since a node also binds its outgoing
//! connections to its address, the proxy knows who talks to whom, and treats each pair, direction and kind of bytes apart:
//! a cut of the connections *to* a primary alone leads to no failover, because its own pings keep it alive. What is held
//! for a source that dies is dropped, as on a network: on one machine the kernel would still deliver it, and a primary
//! that is killed would never lose anything.
//!
//! It runs on threads of its own, so that a busy or blocked test never makes the cluster look dead to itself.
//! Deliberately absent: loss, bandwidth, jitter; and what is decided with all this (`chaos-faults`).

mod accept;
mod line;
mod lives;
mod relay;
mod state;
mod wire;

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{runtime::Handle, task::JoinHandle};

pub use state::{Carried, Kind, LinkState, Node};

use crate::ground::{BUS, Ground};
use accept::Door;
pub(crate) use lives::Gone;
use lives::Lives;
use wire::Wire;

/// A Redis node as the proxy stands before it.
pub(crate) struct Behind {
    pub(crate) node: u8,
    /// Where it listens; its outgoing connections come from there too.
    pub(crate) own: SocketAddr,
    /// Where the proxy listens for it.
    pub(crate) announced: SocketAddr,
}

/// All links of a cluster.
pub struct Links {
    map: Arc<Map>,
    doors: Vec<JoinHandle<()>>,
}

/// What the relays share.
pub(crate) struct Map {
    /// Whether a connection can be made from its source's own address.
    lends_addresses: bool,
    wires: Mutex<BTreeMap<(Node, Node, Kind), Arc<Wire>>>,
    addresses: BTreeMap<IpAddr, u8>,
    lives: Lives,
}

impl Map {
    fn wire(&self, from: Node, to: Node, kind: Kind) -> Arc<Wire> {
        let mut wires = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
        wires.entry((from, to, kind)).or_default().clone()
    }

    fn node_at(&self, address: IpAddr) -> Node {
        self.addresses.get(&address).map_or(Node::Clients, |node| Node::Redis(*node))
    }
}

impl Links {
    /// Listens for every node. `gone` tells of a node whose process no longer runs.
    pub(crate) fn listen(runtime: &Handle, nodes: &[Behind], ground: &Ground, gone: Gone) -> io::Result<Links> {
        let addresses = nodes.iter().map(|behind| (behind.own.ip(), behind.node)).collect();
        let lives = Lives::new(nodes.iter().map(|behind| behind.node), gone);
        let lends_addresses = ground.lends_addresses();
        let map = Arc::new(Map { lends_addresses, wires: Mutex::default(), addresses, lives });
        let mut links = Links { map, doors: Vec::new() };
        let _inside = runtime.enter();
        for behind in nodes {
            for (offset, bus) in [(0, false), (BUS, true)] {
                let door = Door::open(behind, offset, bus, links.map.clone())?;
                links.doors.push(runtime.spawn(door.serve()));
            }
        }
        Ok(links)
    }

    /// From now on bytes of this kind that flow from `from` to `to` are treated so, also those that are held already.
    pub fn set(&self, from: Node, to: Node, kind: Kind, state: LinkState) {
        self.map.wire(from, to, kind).set(state);
    }

    pub fn state(&self, from: Node, to: Node, kind: Kind) -> LinkState {
        self.map.wire(from, to, kind).state()
    }

    /// Evidence, since the last [`forget`](Links::forget).
    pub fn carried(&self, from: Node, to: Node, kind: Kind) -> Carried {
        self.map.wire(from, to, kind).carried()
    }

    /// Every link that is not clear.
    pub fn faulty(&self) -> Vec<(Node, Node, Kind, LinkState)> {
        let wires = self.map.wires.lock().unwrap_or_else(PoisonError::into_inner);
        let states = wires.iter().map(|((from, to, kind), wire)| (*from, *to, *kind, wire.state()));
        states.filter(|(.., state)| *state != LinkState::CLEAR).collect()
    }

    /// Heals every link.
    pub fn clear(&self) {
        for (from, to, kind, _) in self.faulty() {
            self.set(from, to, kind, LinkState::CLEAR);
        }
    }

    /// Starts the evidence anew.
    pub(crate) fn forget(&self) {
        self.map.wires.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|wire| wire.forget());
    }

    /// What is held for this node as a source is dropped now.
    pub(crate) fn died(&self, node: u8) {
        self.map.lives.end(node);
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Links").field("faulty", &self.faulty()).finish_non_exhaustive()
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.doors.iter().for_each(JoinHandle::abort);
    }
}
