//! What to say, what to believe, what to tell the owner: the whole client but for the network and the clock.
//!
//! The handle puts wishes in ([`join`](Session::join), [`send`](Session::send), …), the task puts frames in
//! ([`receive`](Session::receive)) and takes frames out ([`advance`](Session::advance)). Every time is passed in, so that
//! a test can drive it through years in an instant.

mod answers;
mod connection;
mod line;
mod membership;
mod receive;
mod time;

#[cfg(test)]
mod model_tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rustls::ClientConfig;
use system_protocol::{MessageId, Offset, Room, Submit};
use tokio::sync::mpsc;

use crate::backoff::Backoff;
use crate::outbox::{Outbox, Queue};
use crate::{Config, Dialect, Event, Node, What};
use line::Line;
use membership::{Membership, State};

/// Longest time that a configuration or a node can name; more would overflow the clock.
const LONGEST: Duration = Duration::from_hours(24 * 365);

pub(crate) struct Session {
    config: Config,
    events: mpsc::UnboundedSender<Event>,
    random: ChaCha8Rng,
    backoff: Backoff,
    rooms: BTreeMap<Room, Membership>,
    outbox: Outbox,
    line: Option<Line>,
    node: usize,
    closing: bool,
    /// The node does not believe our token; another is needed.
    token_refused: bool,
    /// The node asked us to send nothing before.
    hold_until: Option<Instant>,
    /// Or to join nothing before.
    join_after: Option<Instant>,
    /// Something happened that `advance` has not looked at.
    changed: bool,
    wake_at: Option<Instant>,
    #[cfg(debug_assertions)]
    shown: u64,
}

/// What the task does next: write these, and come back then at the latest.
pub(crate) struct Step {
    pub(crate) frames: Vec<String>,
    pub(crate) wake_at: Option<Instant>,
}

/// The node to try, whom to trust, what it speaks, and for how long to try.
pub(crate) struct Target {
    pub(crate) node: Node,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) dialect: Option<Arc<dyn Dialect>>,
    pub(crate) timeout: Duration,
}

/// Whether there is reason to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Closing,
    Idle,
    Eager,
}

impl Session {
    pub(crate) fn new(mut config: Config, events: mpsc::UnboundedSender<Event>) -> Self {
        for time in [
            &mut config.connect_timeout,
            &mut config.join_timeout,
            &mut config.ack_timeout,
            &mut config.retry_horizon,
            &mut config.backoff.0,
            &mut config.backoff.1,
        ] {
            *time = LONGEST.min(*time);
        }
        Session {
            events,
            random: ChaCha8Rng::seed_from_u64(config.seed),
            backoff: Backoff::new(config.backoff),
            rooms: BTreeMap::new(),
            outbox: Outbox::new(config.queue_limit),
            line: None,
            node: config.start % config.nodes.len().max(1),
            closing: false,
            token_refused: false,
            hold_until: None,
            join_after: None,
            changed: true,
            wake_at: None,
            #[cfg(debug_assertions)]
            shown: 0,
            config,
        }
    }

    pub(crate) fn join(&mut self, room: Room, offset: Option<Offset>) {
        let membership = self.rooms.entry(room).or_insert_with(|| Membership::new(offset));
        if !membership.wanted {
            membership.wanted = true;
            membership.comeback = offset;
        }
        self.changed = true;
    }

    /// False when there was nothing to leave.
    pub(crate) fn leave(&mut self, room: &Room, now: Instant) -> bool {
        let Some(membership) = self.rooms.get_mut(room).filter(|membership| membership.wanted) else { return false };
        membership.wanted = false;
        membership.leave_owed = true;
        membership.comeback = None;
        self.changed = true;
        self.abandon(room, now);
        if self.rooms[room].state == State::Out {
            self.leave_offline(room, now);
        }
        true
    }

    pub(crate) fn send(&mut self, room: &Room, id: MessageId, submit: Submit, now: Instant) {
        if let Some((room, id)) = self.outbox.push(room, id, submit) {
            self.tell(now, What::Overflowed { id, room });
        }
        self.changed = true;
    }

    pub(crate) fn renew(&mut self, token: String) {
        self.config.token = token;
        self.token_refused = false;
    }

    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.changed = true;
    }

    pub(crate) fn wants(&self, room: &Room) -> bool {
        self.rooms.get(room).is_some_and(|membership| membership.wanted)
    }

    pub(crate) fn position(&self, room: &Room) -> Option<Offset> {
        self.rooms.get(room)?.position
    }

    pub(crate) fn queue(&self) -> Queue {
        self.outbox.counts()
    }

    pub(crate) fn mood(&self) -> Mood {
        if self.closing {
            Mood::Closing
        } else if !self.token_refused && self.rooms.values().any(|membership| membership.wanted) {
            Mood::Eager
        } else {
            Mood::Idle
        }
    }

    pub(crate) fn target(&self) -> Target {
        let Config { nodes, tls, dialect, connect_timeout, .. } = &self.config;
        let (node, tls, dialect) = (nodes[self.node].clone(), tls.clone(), dialect.clone());
        Target { node, tls, dialect, timeout: *connect_timeout }
    }

    /// Longest that a write may take.
    pub(crate) fn patience(&self) -> Duration {
        self.line.as_ref().and_then(|line| line.liveness).unwrap_or(self.config.connect_timeout)
    }

    /// An owner that dropped the receiver does not want to know.
    fn tell(&self, at: Instant, what: What) {
        let _ = self.events.send(Event { at, what });
    }
}
