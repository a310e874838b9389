//! The ground that a run stands on: a block of loopback addresses and ports that nobody else has.
//!
//! A run claims one 127.x.y.0/24: Redis node N listens on .N and is announced as .(100 + N), chat node N listens on
//! .(200 + N). The claim is a name in the kernel's abstract socket namespace, which goes with the process, whatever ends
//! it. Ports stay below 22768, because the cluster bus is 10000 higher and must not reach the ephemeral range, where any
//! client's socket could own them.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr as UnixAddress, UnixListener},
    },
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use crate::{ClusterError, Server};

/// From the client port to the cluster bus.
pub(crate) const BUS: u16 = 10_000;
const PORTS: std::ops::Range<u16> = 10_000..22_768;
/// Redis nodes that fit into a block.
pub(crate) const REDIS_NODES: u8 = 99;
pub(crate) const CHAT_NODES: u8 = 54;

/// A claimed block and the first of its ports.
pub(crate) struct Ground {
    block: [u8; 2],
    base: u16,
    _claim: UnixListener,
}

static CLAIMS: AtomicU32 = AtomicU32::new(0);

impl Ground {
    /// Room for so many servers.
    pub(crate) fn claim(redis: u8, chat: u8) -> Result<Ground, ClusterError> {
        let start = std::process::id().wrapping_mul(31).wrapping_add(CLAIMS.fetch_add(1, Relaxed).wrapping_mul(7));
        let (block, claim) = (0..BLOCKS)
            .find_map(|step| claim(block(start.wrapping_add(step))))
            .ok_or_else(|| ClusterError::Ground(format!("all {BLOCKS} blocks of loopback addresses are in use")))?;
        let span = PORTS.end - PORTS.start - 256;
        let first = (start.wrapping_mul(977) % u32::from(span)) as u16;
        let mut ground = Ground { block, base: 0, _claim: claim };
        for step in 0..64 {
            let base = PORTS.start + (first + step * 199) % span;
            ground.base = base;
            if ground.is_free(redis, chat) {
                return Ok(ground);
            }
        }
        let [x, y] = block;
        Err(ClusterError::Ground(format!("no free ports below 22768 on 127.{x}.{y}.0/24: 64 places were tried")))
    }

    /// Where a server listens itself.
    pub(crate) fn own(&self, server: Server) -> SocketAddr {
        match server {
            Server::Redis(number) => self.at(number, self.port(server)),
            Server::Chat(number) => self.at(200 + number, self.port(server)),
        }
    }

    /// Where a server is reached by others: a Redis node through the proxy.
    pub(crate) fn announced(&self, server: Server) -> SocketAddr {
        match server {
            Server::Redis(number) => self.at(100 + number, self.port(server)),
            Server::Chat(_) => self.own(server),
        }
    }

    fn at(&self, host: u8, port: u16) -> SocketAddr {
        let [x, y] = self.block;
        (Ipv4Addr::new(127, x, y, host), port).into()
    }

    fn port(&self, server: Server) -> u16 {
        match server {
            Server::Redis(number) => self.base + u16::from(number),
            Server::Chat(number) => self.base + 100 + u16::from(number),
        }
    }

    fn is_free(&self, redis: u8, chat: u8) -> bool {
        let bus = |address: SocketAddr| SocketAddr::new(address.ip(), address.port() + BUS);
        let redis = (1..=redis).map(Server::Redis);
        let redis = redis.flat_map(|server| [self.own(server), self.announced(server)]);
        let mut needed: Vec<SocketAddr> = redis.flat_map(|address| [address, bus(address)]).collect();
        needed.extend((1..=chat).map(|number| self.own(Server::Chat(number))));
        needed.into_iter().all(|address| TcpListener::bind(address).is_ok())
    }
}

/// 127.64.0.0/24 to 127.127.255.0/24: clear of what distributions use by themselves.
const BLOCKS: u32 = 64 * 256;

fn block(number: u32) -> [u8; 2] {
    [64 + (number / 256 % 64) as u8, (number % 256) as u8]
}

fn claim(block: [u8; 2]) -> Option<([u8; 2], UnixListener)> {
    let [x, y] = block;
    let name = UnixAddress::from_abstract_name(format!("holdfast/127.{x}.{y}")).ok()?;
    UnixListener::bind_addr(&name).ok().map(|claim| (block, claim))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_never_share_an_address() {
        let (one, two) = (Ground::claim(3, 1).expect("ground"), Ground::claim(3, 1).expect("ground"));
        assert_ne!(one.block, two.block);
        assert!(claim(one.block).is_none(), "a claimed block was claimed again");
        let block = one.block;
        drop(one);
        assert!(claim(block).is_some(), "a claim outlives its run");
    }

    #[test]
    fn a_port_that_somebody_has_is_not_taken() {
        let ground = Ground::claim(2, 1).expect("ground");
        let bus = SocketAddr::new(ground.announced(Server::Redis(2)).ip(), ground.base + 2 + BUS);
        for address in [ground.own(Server::Redis(1)), bus, ground.own(Server::Chat(1))] {
            let squatter = TcpListener::bind(address).expect("a free port");
            assert!(!ground.is_free(2, 1), "{address} is taken");
            drop(squatter);
        }
        assert!(ground.is_free(2, 1));
    }

    #[test]
    fn every_port_keeps_its_bus_out_of_the_ephemeral_range() {
        let ground = Ground::claim(REDIS_NODES, CHAT_NODES).expect("ground");
        assert!(ground.own(Server::Redis(REDIS_NODES)).port() + BUS < 32768);
        assert!(ground.own(Server::Chat(CHAT_NODES)).port() < 22768);
    }
}
