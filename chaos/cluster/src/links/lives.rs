//! Which life of a node a connection belongs to. A connection outlives neither its node's death nor its next start.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

use super::Node;

/// Asked about a node whose connection ended: does its process no longer run?
pub(crate) type Gone = Arc<dyn Fn(u8) -> bool + Send + Sync>;

pub(super) struct Lives {
    nodes: BTreeMap<u8, watch::Sender<u64>>,
    gone: Gone,
}

impl Lives {
    pub(super) fn new(nodes: impl Iterator<Item = u8>, gone: Gone) -> Lives {
        Lives { nodes: nodes.map(|node| (node, watch::Sender::new(1))).collect(), gone }
    }

    /// The harness killed it.
    pub(super) fn end(&self, node: u8) {
        if let Some(life) = self.nodes.get(&node) {
            life.send_modify(|life| *life += 1);
        }
    }

    pub(super) fn of(&self, node: Node) -> Life {
        let known = match node {
            Node::Redis(number) => self.nodes.get(&number).map(|life| (number, life.subscribe())),
            Node::Clients => None,
        };
        Life { known, gone: self.gone.clone() }
    }
}

/// The present life of one node; clients live for ever, as far as is known here.
pub(super) struct Life {
    known: Option<(u8, watch::Receiver<u64>)>,
    gone: Gone,
}

impl Life {
    /// Comes true when the harness kills it. Cancel safe.
    pub(super) async fn ended(&mut self) {
        match &mut self.known {
            Some((_, life)) => {
                // The sender lives as long as the map, and with it every relay.
                let _ = life.changed().await;
            }
            None => std::future::pending().await,
        }
    }

    /// Also true when it died by itself, or by somebody else's hand.
    pub(super) fn is_over(&self) -> bool {
        self.known.as_ref().is_some_and(|(node, life)| life.has_changed().unwrap_or(true) || (self.gone)(*node))
    }
}
