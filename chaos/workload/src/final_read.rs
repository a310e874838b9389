//! H: what the system says, at the end, was said in each room since the run began.
//!
//! A fresh session a room, with the lowest offset that any member began from and is still held. Its receipts are recorded apart from
//! what members received: a member that was deaf in the run is not healed by somebody else's reading.

use std::{sync::Arc, time::Duration};

use chaos_observe::Op;
use system_client::{Client, Config, Event, What, uuids};
use system_protocol::{ChatMessage, Joined, Offset, Room};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use crate::{Load, crowd::Crowd, history};

/// A room that could not be read to its end: without it nothing can be said about that room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("final read of {room}: {why}")]
pub struct Unread {
    pub room: String,
    pub why: String,
}

impl Load {
    /// Reads all rooms at once. Empty: all were read to the head that their join named. On systems without offsets
    /// nothing can be read, and nothing is.
    pub async fn final_read(&self, within: Duration) -> Vec<Unread> {
        let deadline = Instant::now() + within;
        let mut readers = JoinSet::new();
        if self.crowd.targets.offsets {
            for room in 0..self.crowd.rooms.len() {
                readers.spawn(read(Arc::clone(&self.crowd), room, self.next_seed(), deadline));
            }
        }
        readers.join_all().await.into_iter().filter_map(Result::err).collect()
    }
}

async fn read(crowd: Arc<Crowd>, room: usize, seed: u64, deadline: Instant) -> Result<(), Unread> {
    let name = crowd.rooms[room].name.clone();
    let unread = |why: String| Unread { room: name.as_str().to_owned(), why };
    let beginnings = crowd.rooms[room].ledger().beginnings();
    for first in &beginnings {
        // Where history was lost, what is held is what came after: members know from where.
        if read_from(&crowd, room, *first, seed, deadline).await.map_err(unread)? == Far::ToTheEnd {
            return Ok(());
        }
    }
    Err(unread(match beginnings.first() {
        Some(first) => format!("history after {first} is no longer held"),
        None => "no member was told an offset when it joined".to_owned(),
    }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Far {
    ToTheEnd,
    /// History from there on is no longer held.
    Nowhere,
}

async fn read_from(crowd: &Crowd, room: usize, first: Offset, seed: u64, deadline: Instant) -> Result<Far, String> {
    let room_name = crowd.rooms[room].name.clone();
    let user = format!("reader.{room_name}");
    let urls: Vec<&str> = crowd.targets.nodes.iter().map(|node| node.url.as_str()).collect();
    let config = Config::new(&urls, crowd.targets.tokens.of(&user)).map_err(|error| error.to_string())?;
    let (client, events) =
        Client::start(Config { start: room, seed, tls: crowd.targets.tls.clone(), ..config }, uuids());
    client.join(room_name.clone(), Some(first));
    let mut reader = Reader { crowd, room: room_name, user, events, at: first, head: None };
    let read = timeout_at(deadline, reader.read_on()).await;
    let far = reader.at;
    client.close().await;
    read.unwrap_or_else(|_| Err(format!("not at its end in time, but at {far}")))
}

struct Reader<'c> {
    crowd: &'c Crowd,
    room: Room,
    user: String,
    events: UnboundedReceiver<Event>,
    at: Offset,
    head: Option<Offset>,
}

impl Reader<'_> {
    async fn read_on(&mut self) -> Result<Far, String> {
        loop {
            let event = self.events.recv().await.ok_or("the client ended")?;
            match event.what {
                What::Joined { joined } if !joined.recovered && self.head.is_none() => return Ok(Far::Nowhere),
                What::Joined { joined } => self.joined(&joined)?,
                What::JoinRefused { refusal, .. } => return Err(refusal.to_string()),
                What::Received { ref message, hidden: false, .. } => self.received(&event, message),
                _ => {}
            }
            if let Some(head) = self.head.filter(|head| self.at >= *head) {
                self.end(head);
                return Ok(Far::ToTheEnd);
            }
        }
    }

    /// After a lost connection the client joins again where it was; the later head is the one to reach.
    fn joined(&mut self, joined: &Joined) -> Result<(), String> {
        if !joined.recovered {
            return Err(format!("history after {} is no longer held", self.at));
        }
        self.head = Some(joined.head.ok_or("the node gives no offsets")?);
        Ok(())
    }

    fn end(&self, head: Offset) {
        if let Some(head) = history::place(Some(head)) {
            let op = Op::FinalEnd { room: self.room.to_string(), head };
            self.crowd.recorder.record(self.crowd.clock.now(), &self.user, op);
        }
    }

    fn received(&mut self, event: &Event, message: &ChatMessage) {
        self.at = message.offset.map_or(self.at, |offset| offset.max(self.at));
        if let Some(op) = history::read(message) {
            self.crowd.recorder.record(self.crowd.clock.at(event.at), &self.user, op);
        }
    }
}
