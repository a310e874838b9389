//! The outside world of the log, real or simulated.

use std::fmt;
use std::future::Future;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

/// What the log cannot do by itself. Time that passes is tokio's (so a paused clock works); wall time is asked here.
pub trait Edge: Clone + Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Opens a connection, TLS included when the address asks for it. The caller sets the deadline. `InvalidData` says
    /// that the other side does not fit, and that waiting will not mend it: no TLS there, or a certificate that is not
    /// trusted.
    fn connect(&self, address: &RedisAddress) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Unix milliseconds.
    fn now_ms(&self) -> u64;

    /// Any 64 bits; not for secrets.
    fn random(&self) -> u64;
}

/// Where a Redis node listens for clients: `redis://host:port`, or `rediss://host:port` for TLS.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedisAddress {
    pub host: Arc<str>,
    pub port: u16,
    pub tls: bool,
}

impl RedisAddress {
    pub fn new(host: &str, port: u16) -> Self {
        RedisAddress { host: host.into(), port, tls: false }
    }

    pub(crate) fn is_at(&self, host: &str, port: u16) -> bool {
        self.port == port && &*self.host == host
    }
}

/// A text that names no Redis node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("redis address {text:?} is not redis://host:port or rediss://host:port")]
pub struct AddressError {
    text: String,
}

impl FromStr for RedisAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        parse(text.trim()).ok_or_else(|| AddressError { text: text.to_owned() })
    }
}

/// The scheme may be left out; the port is Redis's own unless given. Credentials in a URL are refused: they would end
/// in logs.
fn parse(text: &str) -> Option<RedisAddress> {
    let (tls, rest) = match text.split_once("://") {
        Some(("redis", rest)) => (false, rest),
        Some(("rediss", rest)) => (true, rest),
        Some(_) => return None,
        None => (false, text),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()?),
        _ => (rest, 6379),
    };
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let clean = !host.is_empty() && !host.contains(['/', '@', '?', '[', ']']);
    clean.then(|| RedisAddress { host: host.into(), port, tls })
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]:{}", self.host, self.port)
        } else {
            write!(out, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_its_parts() {
        for (text, host, port, tls) in [
            ("redis://127.1.1.2:7001", "127.1.1.2", 7001, false),
            ("rediss://r:7001/", "r", 7001, true),
            ("r", "r", 6379, false),
            ("redis://[::1]:7", "::1", 7, false),
        ] {
            let address: RedisAddress = text.parse().unwrap();
            assert_eq!((&*address.host, address.port, address.tls), (host, port, tls), "{text}");
        }
    }

    #[test]
    fn credentials_paths_and_other_schemes_are_refused() {
        for text in ["", "http://r:1", "redis://u:p@r:1", "redis://r:1/2", "r:99999", "redis://:1"] {
            assert!(text.parse::<RedisAddress>().is_err(), "{text}");
        }
    }
}
