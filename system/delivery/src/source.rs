//! What sessions need from whatever holds the history: the log on Redis, or memory.

use std::future::Future;
use std::pin::Pin;

use system_protocol::{Offset, Refusal, Room};

use crate::entry::Item;

pub(crate) type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a room looks like to somebody who enters. Fenced: these offsets may leave the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entrance {
    pub(crate) head: Offset,
    /// The entry that was asked for is there.
    pub(crate) held: bool,
}

/// All answers are committed history from a server that was believed; they wait for as long as that takes.
pub(crate) trait Source: Send + Sync + 'static {
    /// Be told of new entries of this room from now on (a hint; the sweep does not depend on it).
    fn listen<'a>(&'a self, room: &'a Room) -> Soon<'a, ()>;

    /// Bears the room when it is new.
    fn enter<'a>(&'a self, room: &'a Room, at: Option<Offset>) -> Soon<'a, Result<Entrance, Refusal>>;

    /// A page from an offset on, inclusive.
    fn page<'a>(&'a self, room: &'a Room, from: Offset) -> Soon<'a, Vec<Item>>;

    /// Somebody entered: deliver what came while they did.
    fn pump(&self, room: &Room);

    /// Runs until it ends or the log is dropped.
    fn spawn(&self, task: Soon<'static, ()>);
}
