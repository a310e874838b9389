//! Which hosts a world has, and what a storyboard calls them.

use std::fmt;

use crate::network::Host;

/// Each the first of its kind.
pub const REDIS: u16 = 10;
pub const NODES: u16 = 100;
pub const CLIENTS: u16 = 200;
pub const READER: Host = Host(999);

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            _ if *self == READER => out.write_str("reader"),
            CLIENTS.. => write!(out, "u{}", self.0 - CLIENTS + 1),
            NODES.. => write!(out, "chat-{}", self.0 - NODES + 1),
            REDIS.. => write!(out, "redis-{}", self.0 - REDIS + 1),
            other => write!(out, "host {other}"),
        }
    }
}
