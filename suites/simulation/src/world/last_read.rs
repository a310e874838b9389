//! What the log holds in the end, read by somebody new; and before it, what was trimmed of it meanwhile.

use chaos_observe::{Offset, Op};
use system_protocol::{Room, UserId};
use tokio::time::{Duration, sleep, timeout};

use super::hosts::READER;
use super::inject::{Stage, stream_of};
use super::record::{content, offset};
use super::wire::{ToClient, ToNode};
use crate::model::stream::Id;

/// For one room.
const PATIENCE: Duration = Duration::from_secs(30);

impl Stage {
    /// False when a room could not be read whole.
    pub async fn read_all(&self) -> bool {
        let mut whole = true;
        for room in self.rooms.iter() {
            if let Some(first) = self.ledger.first_offset(room.as_str()) {
                whole &= timeout(PATIENCE, self.read(room, first)).await.unwrap_or(false);
            }
        }
        whole
    }

    async fn read(&self, room: &Room, first: Offset) -> bool {
        let mut seen = first;
        loop {
            let trimmed = self.find_trimmed(room, &mut seen);
            match self.read_on(room, &mut seen, trimmed).await {
                Some(head) => {
                    self.ledger.note("reader", Op::FinalEnd { room: room.to_string(), head });
                    return true;
                }
                // The log may have trimmed again in between.
                None if trimmed => sleep(Duration::from_millis(100)).await,
                None => return false,
            }
        }
    }

    /// Entries behind `seen` that went, and the one that is the first now. False when none ever went.
    fn find_trimmed(&self, room: &Room, seen: &mut Offset) -> bool {
        let trimmed = self.redis.trimmed(&stream_of(room));
        for (id, fields) in &trimmed {
            let at = offset_of(*id);
            if at <= *seen {
                continue;
            }
            *seen = at;
            let field = |name: &str| fields.chunks(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone());
            // A birth entry is no message.
            let (Some(sender), Some(message), Some(text)) = (field("s"), field("i"), field("c")) else { continue };
            let found = Op::Final { room: room.to_string(), message, sender, offset: at, content: content(&text) };
            self.ledger.note("reader", found);
        }
        !trimmed.is_empty()
    }

    /// From `seen` to the head, as any member gets it. `None` when the node gave up, or where entries go the one that was
    /// seen last.
    async fn read_on(&self, room: &Room, seen: &mut Offset, trimmed: bool) -> Option<Offset> {
        let node = &self.nodes[0];
        let connecting = self.sim.net.connect_typed::<ToNode, ToClient>(READER, node.host);
        let ((to, mut from), (back, received)) = connecting.await.ok()?;
        node.accept(UserId::parse("reader").ok()?, back, received, u64::MAX).then_some(())?;
        to.send(ToNode::Join { room: room.clone(), offset: Some(seen.to_string().parse().ok()?) });
        let (mut head, mut at) = (None, None);
        while head.is_none() || at < head {
            match from.recv().await? {
                ToClient::Joined(joined) if trimmed && !joined.recovered => return None,
                ToClient::Joined(joined) => (head, at) = (joined.head, joined.offset),
                ToClient::Message { message, .. } => {
                    at = message.offset;
                    *seen = offset(message.offset?);
                    let found = Op::Final {
                        room: room.to_string(),
                        message: message.id.to_string(),
                        sender: message.sender.to_string(),
                        offset: *seen,
                        content: content(&message.content),
                    };
                    self.ledger.note("reader", found);
                }
                _ => {}
            }
        }
        Some(offset(head?))
    }
}

fn offset_of(id: Id) -> Offset {
    Offset(u128::from(id.0) << 32 | u128::from(id.1))
}
