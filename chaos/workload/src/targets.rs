//! Whom to chat with: the nodes' addresses and the users' tokens.

use std::{fmt, sync::Arc};

/// A chat node as users reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// As the history and the spans name it: `chat-1`.
    pub name: String,
    /// `ws://host:port`.
    pub url: String,
}

/// The system under test.
#[derive(Clone, Debug)]
pub struct Targets {
    pub nodes: Vec<Node>,
    pub tokens: Tokens,
    /// Whether it gives offsets. Without them nothing can be read back, and who is level is a guess.
    pub offsets: bool,
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
            offsets: true,
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
