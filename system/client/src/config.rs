//! How a client behaves. Nothing is read from the environment: all of it is passed in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use system_protocol::limits;

use crate::Dialect;

/// Times and limits of one client. [`Config::new`] gives the contract's defaults; drills use shorter times.
#[derive(Clone)]
pub struct Config {
    /// Tried in turn, beginning at `start`. Never empty.
    pub nodes: Vec<Node>,
    /// Index of the node to try first, modulo their number.
    pub start: usize,
    pub token: String,
    /// From the first byte to the node's answer to CONNECT.
    pub connect_timeout: Duration,
    /// A node holds a join while a shard fails over, so this is long; then the next node is tried.
    pub join_timeout: Duration,
    /// How long to wait for an ack before the same id is sent again.
    pub ack_timeout: Duration,
    /// A message first sent longer ago is never sent again.
    pub retry_horizon: Duration,
    /// Messages held, sent or not; at least 1.
    pub queue_limit: usize,
    /// Shortest and longest delay before a new connection.
    pub backoff: (Duration, Duration),
    /// For backoff and for the span ids of retries.
    pub seed: u64,
    /// Whom to trust; without it no `wss://` node can be reached.
    pub tls: Option<Arc<ClientConfig>>,
    /// For nodes that do not speak the contract.
    pub dialect: Option<Arc<dyn Dialect>>,
    /// A planted fault: the n-th message (from 1) that would be shown is lost without a trace.
    #[cfg(debug_assertions)]
    pub drop_received: Option<u64>,
}

impl Config {
    pub fn new<N: AsRef<str>>(nodes: &[N], token: impl Into<String>) -> Result<Config, ConfigError> {
        let nodes = nodes.iter().map(|url| url.as_ref().parse()).collect::<Result<Vec<_>, _>>()?;
        if nodes.is_empty() {
            return Err(ConfigError::NoNodes);
        }
        Ok(Config {
            nodes,
            start: 0,
            token: token.into(),
            connect_timeout: Duration::from_secs(5),
            join_timeout: Duration::from_secs(30),
            ack_timeout: limits::ACK_TIMEOUT,
            retry_horizon: limits::RETRY_HORIZON,
            queue_limit: 1000,
            backoff: limits::BACKOFF,
            seed: 0,
            tls: None,
            dialect: None,
            #[cfg(debug_assertions)]
            drop_received: None,
        })
    }
}

/// A chat node's address: `ws://host:port` (or `http://`), over TLS `wss://host:port` (or `https://`); a path behind it
/// is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub(crate) authority: String,
    pub(crate) tls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("list of nodes is empty")]
    NoNodes,
    #[error("node {0:?} is not ws://host:port or wss://host:port")]
    Url(String),
}

impl FromStr for Node {
    type Err = ConfigError;

    fn from_str(url: &str) -> Result<Node, ConfigError> {
        let wrong = || ConfigError::Url(url.to_owned());
        let (tls, rest) = match url.split_once("://").ok_or_else(wrong)? {
            ("ws" | "http", rest) => (false, rest),
            ("wss" | "https", rest) => (true, rest),
            _ => return Err(wrong()),
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let (host, port) = authority.rsplit_once(':').ok_or_else(wrong)?;
        if host.is_empty() || port.parse::<u16>().is_err() || authority.contains(['@', ' ']) {
            return Err(wrong());
        }
        Ok(Node { authority: authority.to_owned(), tls })
    }
}

impl Node {
    /// Without the port, and an IPv6 address without its brackets: what its certificate is made for.
    pub(crate) fn host(&self) -> &str {
        let host = self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, _)| host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", if self.tls { "wss" } else { "ws" }, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_needs_a_scheme_a_host_and_a_port() {
        for good in ["ws://127.0.0.1:8080", "http://localhost:1/", "ws://[::1]:80/socket.io/"] {
            assert!(good.parse::<Node>().is_ok_and(|node| !node.tls), "{good}");
        }
        for (good, host) in [("wss://chat:443", "chat"), ("https://[::1]:8443/", "::1")] {
            assert!(good.parse::<Node>().is_ok_and(|node| node.tls && node.host() == host), "{good}");
        }
        for bad in ["", "127.0.0.1:8080", "ws://host", "ws://:80", "ws://host:99999", "ftp://host:1", "ws://a@host:1"] {
            assert_eq!(bad.parse::<Node>(), Err(ConfigError::Url(bad.into())));
        }
    }

    #[test]
    fn a_client_without_a_node_cannot_be() {
        assert_eq!(Config::new::<&str>(&[], "t").err(), Some(ConfigError::NoNodes));
    }
}
