//! After the heal: does every node still reach every room?
//!
//! A visitor of its own for each pair of node and room, since regular members may all have moved to other nodes. It
//! connects to that node alone, joins that room, says one thing once everyone is in, and must hear what the others
//! say. What it says and hears is in the history (marked), and R13 judges it.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    Load, LoadError,
    user::{self, User, Wish},
};

const LOOK: Duration = Duration::from_millis(20);

/// A pair that could not be tried, because the visitor never got into the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    pub node: String,
    pub room: String,
}

struct Visitor {
    node: usize,
    room: usize,
    user: User,
}

impl Load {
    /// Sends a canary from every node into every room. Each goes out as soon as its visitor is in; pairs whose visitor
    /// is not in after `within` are returned. Arrival is not waited for: [`drain`](Load::drain) does.
    pub async fn canaries(&mut self, within: Duration) -> Result<Vec<Unreached>, LoadError> {
        let mut waiting = self.visitors_everywhere().await?;
        let deadline = Instant::now() + within;
        while !waiting.is_empty() && Instant::now() < deadline {
            sleep(LOOK).await;
            waiting.retain(|visitor| !self.release(visitor));
        }
        let unreached = |visitor: Visitor| Unreached {
            node: self.crowd.targets.nodes[visitor.node].name.clone(),
            room: self.crowd.rooms[visitor.room].name.as_str().to_owned(),
        };
        Ok(waiting.into_iter().map(unreached).collect())
    }

    /// True when the visitor was in, and has been told to speak.
    fn release(&self, visitor: &Visitor) -> bool {
        let joined = self.crowd.rooms[visitor.room].ledger().is_joined(visitor.user.members()[0]);
        if joined {
            visitor.user.wish(Wish::Say { room: visitor.room, due: self.crowd.clock.now(), canary: true });
        }
        joined
    }

    async fn visitors_everywhere(&mut self) -> Result<Vec<Visitor>, LoadError> {
        let mut visitors = Vec::new();
        let round = self.visitors.len() / (self.crowd.targets.nodes.len() * self.crowd.rooms.len()).max(1);
        for node in 0..self.crowd.targets.nodes.len() {
            for room in 0..self.crowd.rooms.len() {
                let start = self.visitor(node, room, round);
                let crowd = Arc::clone(&self.crowd);
                let user = user::start(&crowd, start, &mut self.tasks).await?;
                self.visitors.push(user.clone());
                visitors.push(Visitor { node, room, user });
            }
        }
        Ok(visitors)
    }

    /// It does not count as one who stays: it came late, and nothing that was sent before is owed to it.
    fn visitor(&self, node: usize, room: usize, round: usize) -> user::Start {
        let (node_name, room_name) = (&self.crowd.targets.nodes[node].name, &self.crowd.rooms[room].name);
        user::Start {
            name: format!("canary{round}.{node_name}.{room_name}"),
            nodes: vec![node],
            rooms: vec![room],
            stays: false,
            cuttable: false,
            seed: self.next_seed(),
        }
    }
}
