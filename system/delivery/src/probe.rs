//! What the log tells about itself while it works; the server makes metrics of it, the simulation coverage.

use std::time::Duration;

/// How a resume ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    /// No offset was given.
    Fresh,
    /// The client's entry was there.
    Recovered,
    /// History between the client's offset and the head is no longer held.
    Lost,
}

/// Something happened. No rooms, users or ids: this becomes metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A batch was appended (not yet fenced).
    Appended { shard: usize, messages: usize, took: Duration },
    /// A WAIT was answered; `held` when it covers everybody who could be elected.
    Fenced { shard: usize, asked: usize, answered: usize, held: bool, took: Duration },
    /// An ack left; since the submission.
    Acked { shard: usize, duplicate: bool, took: Duration },
    /// A message was dropped unanswered at its deadline, or behind such a one.
    Unanswered { messages: usize },
    /// A slot refuses appends while it migrates.
    Migrating { shard: usize },
    /// A connection was lost, refused or too slow.
    Disconnected { shard: usize },
    /// A room's new entries were read and proven; `behind` is the age of the newest when it was handed out.
    Read { shard: usize, entries: usize, behind: Duration },
    /// A server could not prove what it said.
    Unproven { shard: usize },
    /// Heads were compared; rooms that bells had missed.
    Swept { shard: usize, rooms: usize, behind: usize },
    /// One message went to so many sessions of this node.
    Delivered { sessions: usize, failed: usize },
    /// A session was told to go because its place in the history is gone.
    HistoryLost { sessions: usize },
    /// A join was answered.
    Joined { outcome: Resumed, took: Duration },
}

pub trait Probe: Send + Sync + 'static {
    fn see(&self, event: Event);
}

/// Nobody looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Probe for Silent {
    fn see(&self, _: Event) {}
}
