//! Whose a request is when it came through a proxy: X-Forwarded-For, as far as who wrote it is trusted.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;

use crate::config::Network;

#[derive(Debug)]
pub(crate) struct Proxies(Vec<Network>);

impl Proxies {
    pub(crate) fn new(trusted: Vec<Network>) -> Self {
        Proxies(trusted)
    }

    pub(super) fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The peer's address, or what its proxies say as far as they are trusted.
    pub(super) fn address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let forwarded = headers.get_all("x-forwarded-for").into_iter();
        // By bytes: a client that wrote one beyond ASCII must not hide what a proxy wrote behind it.
        let mut hops: Vec<_> = forwarded.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).collect();
        let mut address = peer;
        while self.trust(address) {
            // Whatever stands left of what cannot be read was not written by a proxy of ours.
            let Some(hop) = hops.pop().and_then(read) else { break };
            address = hop;
        }
        address
    }
}

/// Some proxies write the port too, and brackets around IPv6.
fn read(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let bare = || hop.parse().ok();
    let with_port = || hop.parse().ok().map(|place: SocketAddr| place.ip());
    let in_brackets = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(|v6: Ipv6Addr| v6.into());
    bare().or_else(with_port).or_else(in_brackets)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let headers =
            |value: &str| HeaderMap::from_iter([(HeaderName::from_static("x-forwarded-for"), value.parse().unwrap())]);
        let proxies = Proxies::new(crate::config::networks("10.0.0.0/8"));
        assert_eq!(proxies.address(ip("9.9.9.9"), &headers("1.1.1.1")), ip("9.9.9.9"));
        assert_eq!(proxies.address(ip("10.0.0.1"), &headers("6.6.6.6, 1.1.1.1")), ip("1.1.1.1"));
        assert_eq!(proxies.address(ip("10.0.0.1"), &headers("1.1.1.1, 10.0.0.2")), ip("1.1.1.1"));
        for nonsense in ["nonsense", "unknown", "1.1.1.1:", "1.1.1.1:99999", "[1.1.1.1]", "[::1", "1.1.1.1:1:1"] {
            assert_eq!(proxies.address(ip("10.0.0.1"), &headers(nonsense)), ip("10.0.0.1"), "{nonsense}");
        }
        for (hop, address) in [("1.1.1.1:443", "1.1.1.1"), ("[2001:db8::1]:443", "2001:db8::1"), ("[::1]", "::1")] {
            assert_eq!(proxies.address(ip("10.0.0.1"), &headers(hop)), ip(address), "{hop}");
        }
        assert_eq!(proxies.address(ip("10.0.0.1"), &headers("1.1.1.1:80, 10.0.0.2:80")), ip("1.1.1.1"));
        let odd = HeaderValue::from_bytes(b"\xe9, 1.1.1.1").unwrap();
        let odd = HeaderMap::from_iter([(HeaderName::from_static("x-forwarded-for"), odd)]);
        assert_eq!(proxies.address(ip("10.0.0.1"), &odd), ip("1.1.1.1"), "a byte beyond ASCII hides the client");
        assert_eq!(proxies.address(ip("10.0.0.1"), &HeaderMap::new()), ip("10.0.0.1"));
    }
}
