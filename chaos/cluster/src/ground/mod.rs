//! The ground that a run stands on: addresses and ports that nobody else has.
//!
//! Ports stay below 22768, because the cluster bus is 10000 higher and must not reach the ephemeral range, where any
//! client's socket could own them.

mod bridge;
mod loopback;

use std::{collections::BTreeMap, net::SocketAddr};

use tokio::net::TcpSocket;

pub(crate) use bridge::Bridge;
pub(crate) use loopback::Loopback;

use crate::Server;

/// From the client port to the cluster bus.
pub(crate) const BUS: u16 = 10_000;
const PORTS: std::ops::Range<u16> = 10_000..22_768;
/// Redis nodes that fit.
pub(crate) const REDIS_NODES: u8 = 99;
pub(crate) const CHAT_NODES: u8 = 54;
const PLACES: u16 = 64;
const NO_PORTS: &str = "no free ports below 22768 (64 places were tried)";

pub(crate) enum Ground {
    /// Processes of this machine.
    Loopback(Loopback),
    /// Containers on a network of their own; the fault proxy is this machine's end of it.
    Bridge(Bridge),
    /// Somebody else's servers, where they are; nothing stands between them.
    Given(BTreeMap<Server, SocketAddr>),
}

impl Ground {
    /// Where a server listens itself. Its outgoing connections come from there too.
    pub(crate) fn own(&self, server: Server) -> SocketAddr {
        match self {
            Ground::Loopback(ground) => ground.own(server),
            Ground::Bridge(ground) => ground.own(server),
            Ground::Given(places) => given(places, server),
        }
    }

    /// Where a server is reached by others: a Redis node through the proxy.
    pub(crate) fn announced(&self, server: Server) -> SocketAddr {
        match self {
            Ground::Loopback(ground) => ground.announced(server),
            Ground::Bridge(ground) => ground.announced(server),
            Ground::Given(places) => given(places, server),
        }
    }

    /// Whether the proxy can connect from a node's own address, as that node would.
    pub(crate) fn lends_addresses(&self) -> bool {
        matches!(self, Ground::Loopback(_))
    }
}

/// A place that nobody is at for a server that there is not.
fn given(places: &BTreeMap<Server, SocketAddr>, server: Server) -> SocketAddr {
    places.get(&server).copied().unwrap_or_else(|| ([0, 0, 0, 0], 0).into())
}

/// Each server's own, counted from a run's first.
fn port(base: u16, server: Server) -> u16 {
    match server {
        Server::Redis(number) => base + u16::from(number),
        Server::Chat(number) => base + 100 + u16::from(number),
    }
}

/// The first place, in an order that `start` decides, that suits.
fn first_port(start: u32, mut suits: impl FnMut(u16) -> bool) -> Option<u16> {
    let span = PORTS.end - PORTS.start - 256;
    let first = (start.wrapping_mul(977) % u32::from(span)) as u16;
    (0..PLACES).map(|step| PORTS.start + (first + step * 199) % span).find(|base| suits(*base))
}

fn with_bus(address: SocketAddr) -> [SocketAddr; 2] {
    [address, SocketAddr::new(address.ip(), address.port() + BUS)]
}

fn all_free(needed: impl IntoIterator<Item = SocketAddr>) -> bool {
    needed.into_iter().all(|address| look(address).is_ok())
}

/// Bound, and never made to listen: of whatever is open here, a process that another thread forks holds a copy until it has
/// become another program, and a copy of a listener would keep the port from the server that it was looked at for.
fn look(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
