//! A private network of containers, and this machine's address on it.
//!
//! Every container has a fixed address there: an engine that starts two of them again in another order would swap theirs.
//! Redis node N has host number 100 + N and is announced as this machine's address, at a port of its own; chat node N has
//! 200 + N. They stay clear of the low numbers, which the engine gives to whoever asks.

use std::net::{Ipv4Addr, SocketAddr};

use super::{NO_PORTS, all_free, first_port, port, with_bus};
use crate::{ClusterError, Server};

pub(crate) struct Bridge {
    gateway: Ipv4Addr,
    base: u16,
}

impl Bridge {
    /// `gateway` is this machine's address on the network, which has at least 254 hosts.
    pub(crate) fn claim(gateway: Ipv4Addr, redis: u8, chat: u8) -> Result<Bridge, ClusterError> {
        let base = first_port(std::process::id().wrapping_add(u32::from(gateway)), |base| {
            let ground = Bridge { gateway, base };
            let doors = (1..=redis).flat_map(|number| with_bus(ground.announced(Server::Redis(number))));
            let published = (1..=chat).map(|number| ground.published(Server::Chat(number)));
            all_free(doors.chain(published))
        });
        let base = base.ok_or_else(|| ClusterError::Ground(format!("{NO_PORTS} on {gateway} and 127.0.0.1")))?;
        Ok(Bridge { gateway, base })
    }

    pub(crate) fn own(&self, server: Server) -> SocketAddr {
        let host = match server {
            Server::Redis(number) => 100 + number,
            Server::Chat(number) => 200 + number,
        };
        let [a, b, c, _] = self.gateway.octets();
        (Ipv4Addr::new(a, b, c, host), port(self.base, server)).into()
    }

    pub(crate) fn announced(&self, server: Server) -> SocketAddr {
        match server {
            Server::Redis(_) => (self.gateway, port(self.base, server)).into(),
            Server::Chat(_) => self.own(server),
        }
    }

    /// For people on this machine, and for nobody else.
    pub(crate) fn published(&self, server: Server) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port(self.base, server)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_shares_an_address() {
        let ground = Bridge::claim(Ipv4Addr::LOCALHOST, 9, 3).expect("ground");
        let servers = || (1..=9).map(Server::Redis).chain((1..=3).map(Server::Chat));
        let mut all: Vec<SocketAddr> =
            servers().flat_map(|server| [ground.own(server), ground.announced(server)]).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 9 * 2 + 3);
    }

    #[test]
    fn a_published_port_that_somebody_has_is_not_taken() {
        let first = Bridge::claim(Ipv4Addr::LOCALHOST, 1, 1).expect("ground");
        let _squatter = std::net::TcpListener::bind(first.published(Server::Chat(1))).expect("a free port");
        let second = Bridge::claim(Ipv4Addr::LOCALHOST, 1, 1).expect("ground");
        assert_ne!(first.base, second.base);
    }
}
