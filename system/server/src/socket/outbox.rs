//! What goes to one client, in order, without waiting.
//!
//! socketioxide drops a packet that does not fit its channel and takes the next one: a loss without a trace. Here the
//! first packet that cannot be queued ends the session, with nothing after it; the client comes back with its offset
//! and gets the rest from the log.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use socketioxide::adapter::Adapter;
use socketioxide::extract::AckSender;
use socketioxide::socket::Socket;
use socketioxide::{SendError, SocketError};
use system_protocol::{ChatMessage, Joined, Refusal, Room, event};

use super::link::Link;
use crate::telemetry::{Metrics, add};

/// The session is over; whatever comes after this is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

pub(crate) struct Outbox<A: Adapter> {
    socket: Arc<Socket<A>>,
    link: Arc<Link>,
    metrics: Arc<Metrics>,
    /// Held while a packet is queued, so that none slips in behind one that was lost.
    closed: Mutex<bool>,
}

impl<A: Adapter> Outbox<A> {
    pub(super) fn new(socket: Arc<Socket<A>>, link: Arc<Link>, metrics: Arc<Metrics>) -> Self {
        Outbox { socket, link, metrics, closed: Mutex::new(false) }
    }

    pub(crate) fn emit<T: Serialize>(&self, event: &'static str, payload: &T) -> Result<(), Closed> {
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

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
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

/// How a join is answered.
pub(super) enum Answer<A: Adapter> {
    /// CONNECT has no ack: a `joined` event.
    Event,
    Ack(AckSender<A>),
}

/// The outbox as one room sees it.
pub(crate) struct RoomOutbox<A: Adapter> {
    pub(crate) room: Room,
    outbox: Arc<Outbox<A>>,
    answer: Mutex<Option<Answer<A>>>,
}

impl<A: Adapter> RoomOutbox<A> {
    pub(super) fn new(room: Room, outbox: Arc<Outbox<A>>, answer: Answer<A>) -> Self {
        RoomOutbox { room, outbox, answer: Mutex::new(Some(answer)) }
    }

    /// The join's answer; it comes before any message of the room.
    pub(crate) fn joined(&self, joined: &Joined) -> Result<(), Closed> {
        match self.take_answer() {
            Some(Answer::Ack(to)) => self.outbox.ack(to, joined),
            Some(Answer::Event) => self.outbox.emit(event::JOINED, joined),
            None => Ok(()),
        }
    }

    pub(super) fn refuse(&self, refusal: &Refusal) -> Result<(), Closed> {
        self.outbox.refuse(self.take_ack(), refusal)
    }

    pub(super) fn take_ack(&self) -> Option<AckSender<A>> {
        match self.take_answer() {
            Some(Answer::Ack(to)) => Some(to),
            Some(Answer::Event) | None => None,
        }
    }

    pub(crate) fn message(&self, message: &ChatMessage, replay: bool) -> Result<(), Closed> {
        self.outbox.emit(event::CHAT_MESSAGE, message)?;
        self.outbox.metrics.delivered((!replay).then(|| since(message.timestamp)));
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.outbox.close();
    }

    /// Returns when fewer than `limit` packets wait for this client.
    pub(crate) async fn below(&self, limit: usize) {
        self.outbox.link.below(limit).await;
    }

    pub(crate) fn socket(&self) -> &Arc<Socket<A>> {
        &self.outbox.socket
    }

    fn take_answer(&self) -> Option<Answer<A>> {
        self.answer.lock().expect("no panic while it is held").take()
    }
}

/// Across two clocks: never negative, and only a metric.
fn since(unix_ms: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(unix_ms))
}
