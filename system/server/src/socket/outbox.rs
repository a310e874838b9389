//! What goes to one client, in order, without waiting.
//!
//! socketioxide drops a packet that does not fit its channel and takes the next one: a loss without a trace. Here the
//! first packet that cannot be queued ends the session, with nothing after it; the client comes back with its offset
//! and gets the rest from the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use socketioxide::adapter::Adapter;
use socketioxide::extract::AckSender;
use socketioxide::socket::Socket;
use socketioxide::{SendError, SocketError};
use system_protocol::{Joined, Refusal, Room, event};

use super::link::Link;
use crate::edge::unix_ms;
use crate::telemetry::{Metrics, add};

/// The session is over; whatever comes after this is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

pub(crate) struct Outbox<A: Adapter> {
    socket: Arc<Socket<A>>,
    link: Arc<Link>,
    metrics: Arc<Metrics>,
    /// Packets that may wait before replay pauses: half of what the socket's channel holds, the rest is for live.
    pause: usize,
    /// Held while a packet is queued, so that none slips in behind one that was lost.
    closed: Mutex<bool>,
    answers: Mutex<BTreeMap<Room, Answer<A>>>,
}

/// How a join is answered.
pub(super) enum Answer<A: Adapter> {
    /// CONNECT has no ack: a `joined` event.
    Event,
    Ack(AckSender<A>),
}

impl<A: Adapter> Outbox<A> {
    pub(super) fn new(socket: Arc<Socket<A>>, link: Arc<Link>, metrics: Arc<Metrics>, send_queue: usize) -> Self {
        let (closed, answers) = (Mutex::new(false), Mutex::default());
        Outbox { socket, link, metrics, pause: send_queue / 2, closed, answers }
    }

    /// How the next `joined` of that room goes out.
    pub(super) fn expect(&self, room: Room, answer: Answer<A>) {
        self.answers.lock().expect("no panic while it is held").insert(room, answer);
    }

    /// The ack of a join that will not be answered by `joined`.
    pub(super) fn unexpect(&self, room: &Room) -> Option<AckSender<A>> {
        match self.take_answer(room)? {
            Answer::Ack(to) => Some(to),
            Answer::Event => None,
        }
    }

    /// The answer to a join; it comes before any message of the room.
    pub(crate) fn joined(&self, joined: &Joined) -> Result<(), Closed> {
        match self.take_answer(&joined.room) {
            Some(Answer::Ack(to)) => self.ack(to, joined),
            Some(Answer::Event) => self.emit(event::JOINED, joined),
            None => Ok(()),
        }
    }

    /// `stored`: Unix milliseconds.
    pub(crate) fn chat_message<T: Serialize>(&self, message: &T, stored: u64, replay: bool) -> Result<(), Closed> {
        self.emit(event::CHAT_MESSAGE, message)?;
        self.metrics.delivered((!replay).then(|| since(stored)));
        Ok(())
    }

    /// Returns when the client has taken enough for another page of replay.
    pub(crate) async fn writable(&self) {
        self.link.below(self.pause).await;
    }

    pub(super) fn emit<T: Serialize>(&self, event: &'static str, payload: &T) -> Result<(), Closed> {
        self.queue(|| self.socket.emit(event, payload))
    }

    /// Nothing happens when no ack was asked for.
    pub(super) fn ack<T: Serialize>(&self, to: AckSender<A>, payload: &T) -> Result<(), Closed> {
        self.queue(|| to.send(payload))
    }

    /// A refusal is the ack's `error`, and always an event too.
    pub(super) fn refuse(&self, to: Option<AckSender<A>>, refusal: &Refusal) -> Result<(), Closed> {
        self.metrics.refused(refusal.code);
        if let Some(to) = to {
            self.ack(to, &refusal.answer())?;
        }
        self.emit(event::ERROR, &refusal.event())
    }

    /// Ends the session without another word.
    pub(crate) fn close(&self) {
        *self.closed.lock().expect("no panic while it is held") = true;
        self.link.cut();
    }

    pub(crate) fn socket(&self) -> &Arc<Socket<A>> {
        &self.socket
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    fn take_answer(&self, room: &Room) -> Option<Answer<A>> {
        self.answers.lock().expect("no panic while it is held").remove(room)
    }

    fn queue(&self, send: impl FnOnce() -> Result<(), SendError>) -> Result<(), Closed> {
        let mut closed = self.closed.lock().expect("no panic while it is held");
        if *closed {
            return Err(Closed);
        }
        match send() {
            Ok(()) => {
                self.link.queued();
                self.metrics.waiting(self.link.waiting());
                Ok(())
            }
            Err(error) => {
                *closed = true;
                self.failed(&error);
                Err(Closed)
            }
        }
    }

    fn failed(&self, error: &SendError) {
        match error {
            // The client left, and may have kept the transport for another session.
            SendError::Socket(SocketError::Closed) => {}
            SendError::Socket(SocketError::InternalChannelFull) => {
                self.link.cut();
                add(&self.metrics.slow_consumers);
                tracing::warn!(socket = %self.socket.id, "a slow consumer was closed; it resumes from its offset");
            }
            SendError::Serialize(error) => {
                self.link.cut();
                tracing::error!(%error, "a packet cannot be written");
            }
        }
    }
}

/// Across two clocks: never negative, and only a metric.
fn since(stored: u64) -> Duration {
    Duration::from_millis(unix_ms().saturating_sub(stored))
}
