//! A block of loopback addresses and ports that nobody else has.
//!
//! A run claims one 127.x.y.0/24: Redis node N listens on .N and is announced as .(100 + N), chat node N listens on
//! .(200 + N). The claim is a name in the kernel's abstract socket namespace, which goes with the process, whatever ends
//! it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr as UnixAddress, UnixListener},
    },
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use super::{NO_PORTS, all_free, first_port, port, with_bus};
use crate::{ClusterError, Server};

/// A claimed block and the first of its ports.
pub(crate) struct Loopback {
    block: [u8; 2],
    base: u16,
    _claim: UnixListener,
}

static CLAIMS: AtomicU32 = AtomicU32::new(0);

impl Loopback {
    /// Room for so many servers.
    pub(crate) fn claim(redis: u8, chat: u8) -> Result<Loopback, ClusterError> {
        let start = std::process::id().wrapping_mul(31).wrapping_add(CLAIMS.fetch_add(1, Relaxed).wrapping_mul(7));
        let (block, claim) = (0..BLOCKS)
            .find_map(|step| claim(block(start.wrapping_add(step))))
            .ok_or_else(|| ClusterError::Ground(format!("all {BLOCKS} blocks of loopback addresses are in use")))?;
        let [x, y] = block;
        let mut ground = Loopback { block, base: 0, _claim: claim };
        let base = first_port(start, |base| {
            ground.base = base;
            ground.is_free(redis, chat)
        });
        ground.base = base.ok_or_else(|| ClusterError::Ground(format!("{NO_PORTS} on 127.{x}.{y}.0/24")))?;
        Ok(ground)
    }

    /// Where a server listens itself.
    pub(crate) fn own(&self, server: Server) -> SocketAddr {
        match server {
            Server::Redis(number) => self.at(number, port(self.base, server)),
            Server::Chat(number) => self.at(200 + number, port(self.base, server)),
        }
    }

    /// Where a server is reached by others: a Redis node through the proxy.
    pub(crate) fn announced(&self, server: Server) -> SocketAddr {
        match server {
            Server::Redis(number) => self.at(100 + number, port(self.base, server)),
            Server::Chat(_) => self.own(server),
        }
    }

    fn at(&self, host: u8, port: u16) -> SocketAddr {
        let [x, y] = self.block;
        (Ipv4Addr::new(127, x, y, host), port).into()
    }

    fn is_free(&self, redis: u8, chat: u8) -> bool {
        let redis = (1..=redis).map(Server::Redis);
        let redis = redis.flat_map(|server| [self.own(server), self.announced(server)]);
        let mut needed: Vec<SocketAddr> = redis.flat_map(with_bus).collect();
        needed.extend((1..=chat).map(|number| self.own(Server::Chat(number))));
        all_free(needed)
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
    use std::{
        net::TcpListener,
        thread::sleep,
        time::{Duration, Instant},
    };

    use super::*;
    use crate::ground::{BUS, CHAT_NODES, REDIS_NODES, look};

    #[test]
    fn two_runs_never_share_an_address() {
        let (one, two) = (Loopback::claim(3, 1).expect("ground"), Loopback::claim(3, 1).expect("ground"));
        assert_ne!(one.block, two.block);
        assert!(claim(one.block).is_none(), "a claimed block was claimed again");
        let block = one.block;
        drop(one);
        assert!(soon(|| claim(block).is_some()), "a claim outlives its run");
    }

    /// What another test forks holds a copy of what was dropped until it has become another program.
    fn soon(come: impl Fn() -> bool) -> bool {
        let until = Instant::now() + Duration::from_secs(10);
        while !come() {
            if Instant::now() > until {
                return false;
            }
            sleep(Duration::from_millis(1));
        }
        true
    }

    #[test]
    fn a_port_that_somebody_has_is_not_taken() {
        let ground = Loopback::claim(2, 1).expect("ground");
        let bus = SocketAddr::new(ground.announced(Server::Redis(2)).ip(), ground.base + 2 + BUS);
        for address in [ground.own(Server::Redis(1)), bus, ground.own(Server::Chat(1))] {
            let squatter = TcpListener::bind(address).expect("a free port");
            assert!(!ground.is_free(2, 1), "{address} is taken");
            drop(squatter);
            assert!(soon(|| ground.is_free(2, 1)), "{address} is free again");
        }
    }

    #[test]
    fn a_look_that_a_fork_still_holds_keeps_nobody_from_the_port() {
        let ground = Loopback::claim(1, 0).expect("ground");
        let address = ground.own(Server::Redis(1));
        let _held = look(address).expect("a free port");
        let _server = TcpListener::bind(address).expect("the port is still free");
        look(address).expect_err("it is taken");
    }

    #[test]
    fn every_port_keeps_its_bus_out_of_the_ephemeral_range() {
        let ground = Loopback::claim(REDIS_NODES, CHAT_NODES).expect("ground");
        assert!(ground.own(Server::Redis(REDIS_NODES)).port() + BUS < 32768);
        assert!(ground.own(Server::Chat(CHAT_NODES)).port() < 22768);
    }
}
