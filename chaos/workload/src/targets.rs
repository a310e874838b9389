//! Whom to chat with: the nodes' addresses and the users' tokens.

use std::{fmt, sync::Arc};

use rustls::ClientConfig;

use crate::Dialect;

/// A chat node as users reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// As the history and the spans name it: `chat-1`.
    pub name: String,
    /// `ws://host:port`, or `wss://host:port`; a user whose connection can be cut reaches it on 127.0.0.1, so that the
    /// certificate must be for that address too.
    pub url: String,
}

/// The system under test.
#[derive(Clone, Debug)]
pub struct Targets {
    pub nodes: Vec<Node>,
    pub tokens: Tokens,
    /// Whom to believe behind `wss://`.
    pub tls: Option<Arc<ClientConfig>>,
    /// Whether it gives offsets. Without them nothing can be read back, and who is level is a guess.
    pub offsets: bool,
    /// Begins every id: a system that ran before may still know those of an earlier run. Empty: it did not.
    pub run: String,
    /// `None`: it speaks docs/contract.md.
    pub dialect: Option<Arc<Dialect>>,
    /// A planted fault: every user's client loses the n-th message that it should show.
    #[cfg(debug_assertions)]
    pub drop_received: Option<u64>,
}

/// How a user proves who it is.
#[derive(Clone)]
pub enum Tokens {
    /// The name is the token: a node with `--auth none`.
    Names,
    /// From the user's name, for a node that checks.
    Issued(Arc<dyn Fn(&str) -> String + Send + Sync>),
}

impl Targets {
    /// Nodes with offsets and without authentication.
    pub fn new(nodes: Vec<Node>) -> Targets {
        Targets {
            nodes,
            tokens: Tokens::Names,
            tls: None,
            offsets: true,
            run: String::new(),
            dialect: None,
            #[cfg(debug_assertions)]
            drop_received: None,
        }
    }
}

impl Tokens {
    pub(crate) fn of(&self, user: &str) -> String {
        match self {
            Tokens::Names => user.to_owned(),
            Tokens::Issued(issue) => issue(user),
        }
    }
}

/// Tokens are never shown.
impl fmt::Debug for Tokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Tokens::Names => "Names",
            Tokens::Issued(_) => "Issued",
        })
    }
}
