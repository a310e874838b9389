//! The name of every process that a cluster consists of: `redis-3`, `chat-1`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// One process of the system under test, counted from 1. Written, logged and stored as `redis-3` or `chat-1`.
///
/// The number says which process, never which role: roles move (see [`View`](crate::View)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Server {
    Redis(u8),
    Chat(u8),
}

/// A text that names no process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither redis-N nor chat-N, N from 1 to 255")]
pub struct UnknownServer(String);

impl Server {
    pub fn is_redis(self) -> bool {
        matches!(self, Server::Redis(_))
    }

    /// Its number, from 1.
    pub fn number(self) -> u8 {
        match self {
            Server::Redis(number) | Server::Chat(number) => number,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Server::Redis(number) => out.pad(&format!("redis-{number}")),
            Server::Chat(number) => out.pad(&format!("chat-{number}")),
        }
    }
}

impl FromStr for Server {
    type Err = UnknownServer;

    fn from_str(text: &str) -> Result<Server, UnknownServer> {
        let named = text.split_once('-').and_then(|(kind, number)| {
            let number = number.parse().ok().filter(|number| *number > 0)?;
            match kind {
                "redis" => Some(Server::Redis(number)),
                "chat" => Some(Server::Chat(number)),
                _ => None,
            }
        });
        named.ok_or_else(|| UnknownServer(text.to_owned()))
    }
}

impl TryFrom<String> for Server {
    type Error = UnknownServer;

    fn try_from(text: String) -> Result<Server, UnknownServer> {
        text.parse()
    }
}

impl From<Server> for String {
    fn from(server: Server) -> String {
        server.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_the_server_it_names() {
        for server in [Server::Redis(1), Server::Redis(255), Server::Chat(3)] {
            assert_eq!(server.to_string().parse(), Ok(server));
        }
    }

    #[test]
    fn other_texts_name_no_server() {
        for text in ["", "redis", "redis-0", "redis-256", "redis--1", "valkey-1", "chat-x"] {
            assert_eq!(text.parse::<Server>(), Err(UnknownServer(text.to_owned())));
        }
    }
}
