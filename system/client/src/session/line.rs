//! What is known of the present connection, and dies with it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use system_protocol::{MessageId, Room};

use crate::wire::socket;

pub(super) struct Line {
    pub(super) phase: Phase,
    /// The node must have answered CONNECT by then.
    pub(super) connect_by: Instant,
    pub(super) heard: Instant,
    /// The node's ping interval and timeout; until it has told them, the connect timeout is what counts.
    pub(super) liveness: Option<Duration>,
    pub(super) move_on: Option<MoveOn>,
    /// That of CONNECT.
    pub(super) token: String,
    pub(super) out: Vec<String>,
    asked: u64,
    pending: BTreeMap<u64, Pending>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The socket is open, the handshake not yet read.
    Opening,
    /// CONNECT is sent.
    Asked,
    Up,
}

/// What an ack will answer.
#[derive(Debug)]
pub(super) enum Pending {
    Submit { room: Room, id: MessageId, attempt: u32 },
    Join { room: Room },
    Leave { room: Room },
}

/// The node is draining: go at `at`, or as soon after as nothing is in flight, but by `latest`.
#[derive(Debug, Clone, Copy)]
pub(super) struct MoveOn {
    pub(super) at: Instant,
    pub(super) latest: Instant,
}

impl Line {
    pub(super) fn new(now: Instant, connect_by: Instant) -> Self {
        Line {
            phase: Phase::Opening,
            connect_by,
            heard: now,
            liveness: None,
            move_on: None,
            token: String::new(),
            out: Vec::new(),
            asked: 0,
            pending: BTreeMap::new(),
        }
    }

    pub(super) fn ask(&mut self, event: &str, payload: &impl Serialize, pending: Pending) {
        self.out.push(socket::event(self.asked, event, payload));
        self.pending.insert(self.asked, pending);
        self.asked += 1;
    }

    pub(super) fn answered(&mut self, ack: u64) -> Option<Pending> {
        self.pending.remove(&ack)
    }

    /// New wishes wait for the next node while this one drains.
    pub(super) fn takes_wishes(&self) -> bool {
        self.phase == Phase::Up && self.move_on.is_none()
    }

    pub(super) fn silent_at(&self) -> Option<Instant> {
        self.liveness.map(|liveness| self.heard + liveness)
    }

    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let connect = (self.phase != Phase::Up).then_some(self.connect_by);
        let move_on = self.move_on.map(|go| if now < go.at { go.at } else { go.latest });
        [connect, self.silent_at(), move_on].into_iter().flatten().min()
    }
}
