//! How many connections an address may have at once: each is counted as it is accepted, whatever comes of it.
//!
//! One that comes straight from a private network is not counted: there the load balancers are, and whoever forgot to
//! name his in `--trusted-proxies` must not lose his users to this. Nor is a trusted proxy's own; each WebSocket that
//! it forwards counts for the address that it forwards it for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Proxies;
use super::limit::network_of;

#[derive(Debug)]
pub(crate) struct Crowd {
    most: usize,
    proxies: Arc<Proxies>,
    connections: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection of an address, as long as it is held.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    /// `None`: it is not counted.
    network: Option<IpAddr>,
}

impl Crowd {
    pub(crate) fn new(most: usize, proxies: Arc<Proxies>) -> Arc<Self> {
        Arc::new(Crowd { most, proxies, connections: Mutex::default() })
    }

    /// A connection that was accepted. `None` when its address has as many as it may.
    pub(crate) fn accepted(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        if is_private(peer) || self.proxies.trust(peer) {
            return Some(Place { crowd: Arc::clone(self), network: None });
        }
        self.forwarded(peer)
    }

    /// A WebSocket that a trusted proxy forwards for that address.
    pub(super) fn forwarded(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let network = network_of(address);
        let mut connections = self.lock();
        let count = connections.entry(network).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { crowd: Arc::clone(self), network: Some(network) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(network) = self.network else { return };
        let mut connections = self.crowd.lock();
        match connections.get_mut(&network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(connections.remove(&network)),
        }
    }
}

/// Of this machine, or of a network that no one reaches from outside (RFC 1918, 3927, 4193, 6598).
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let shared = first == 100 && (64..128).contains(&second);
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn crowd(most: usize) -> Arc<Crowd> {
        Crowd::new(most, Arc::new(Proxies::new(crate::config::networks("9.9.9.9"))))
    }

    #[test]
    fn an_address_has_so_many_places_and_gets_back_what_it_leaves() {
        let (crowd, one) = (crowd(2), ip("1.1.1.1"));
        let (first, _second) = (crowd.accepted(one).unwrap(), crowd.accepted(one).unwrap());
        assert!(crowd.accepted(one).is_none() && crowd.accepted(ip("2.2.2.2")).is_some());
        drop(first);
        let again = crowd.accepted(one);
        assert!(again.is_some() && crowd.accepted(one).is_none());
        assert_eq!(crowd.lock().len(), 1, "who has left is forgotten");
    }

    #[test]
    fn neighbours_in_one_ipv6_network_share() {
        let crowd = crowd(1);
        let _place = crowd.accepted(ip("2001:db8::1")).unwrap();
        assert!(crowd.accepted(ip("2001:db8::2")).is_none());
    }

    #[test]
    fn a_proxy_and_a_load_balancer_that_nobody_named_are_not_counted_and_whom_they_forward_is() {
        let crowd = crowd(1);
        for proxy in ["9.9.9.9", "10.0.0.1"] {
            let _places: Vec<_> = (0..3).map(|_| crowd.accepted(ip(proxy)).unwrap()).collect();
        }
        for address in ["1.1.1.1", "10.0.0.2"] {
            let _place = crowd.forwarded(ip(address)).unwrap();
            assert!(crowd.forwarded(ip(address)).is_none(), "{address}");
        }
    }

    #[test]
    fn private_is_what_nobody_reaches_from_outside() {
        for address in
            ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "::1", "fd00::1"]
        {
            assert!(is_private(ip(address)), "{address}");
        }
        for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2001:db8::1", "::ffff:1.1.1.1"] {
            assert!(!is_private(ip(address)), "{address}");
        }
        assert!(is_private(ip("::ffff:10.0.0.1")));
    }
}
