//! What goes to one client, in order, without waiting.
//!
//! Everything but socketioxide's own packets (CONNECT's answer, pings) is a ready frame on the client's connection:
//! answers leave at once, messages with their room's batch, and all in the order in which they were put here. A client
//! that takes too little loses its connection, with nothing after what was lost; it comes back with its offset and gets
//! the rest from the log.

use std::fmt;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde::Serialize;
use socketioxide::adapter::Adapter;
use socketioxide::socket::Socket;
use system_delivery::{Entry, FanOut};
use system_protocol::{Joined, Refusal, Room, event};
use system_wire::{Connection, Cut, Voice, frame};

use super::broadcast::Broadcasts;
use super::intake::Ack;
use crate::backend::Backend;
use crate::chat::Chat;
use crate::telemetry::{Metrics, add};

/// Most packets are shorter than this many bytes, and written without moving.
const USUAL: usize = 512;

/// The session is over; whatever comes after this is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

pub(crate) struct Outbox<A: Adapter> {
    socket: Arc<Socket<A>>,
    voice: Voice,
    metrics: Arc<Metrics>,
    broadcasts: Arc<Broadcasts>,
    /// Bytes that may wait before replay pauses: half of what may wait at all, the rest is for live.
    pause: usize,
    /// Few at a time, and mostly none.
    answers: Mutex<Vec<(Room, Answer)>>,
}

/// How a join is answered.
pub(super) enum Answer {
    /// CONNECT has no ack: a `joined` event.
    Event,
    Ack(Ack),
}

impl Answer {
    pub(super) fn ack(self) -> Ack {
        match self {
            Answer::Ack(to) => to,
            Answer::Event => None,
        }
    }
}

impl<A: Adapter> Outbox<A> {
    pub(super) fn new<B: Backend>(socket: Arc<Socket<A>>, voice: Voice, chat: &Chat<B>) -> Self {
        let (metrics, broadcasts) = (Arc::clone(&chat.metrics), Arc::clone(&chat.broadcasts));
        let (pause, answers) = (chat.send_buffer / 2, Mutex::default());
        Outbox { socket, voice, metrics, broadcasts, pause, answers }
    }

    /// How the next `joined` of that room goes out.
    pub(super) fn expect(&self, room: Room, answer: Answer) {
        self.answers.lock().expect("no panic while it is held").push((room, answer));
    }

    /// The ack of a join that will not be answered by `joined`.
    pub(super) fn unexpect(&self, room: &Room) -> Ack {
        self.take_answer(room)?.ack()
    }

    /// The answer to a join; it comes before any message of the room.
    pub(crate) fn joined(&self, joined: &Joined) -> Result<(), Closed> {
        match self.take_answer(&joined.room) {
            Some(Answer::Ack(to)) => self.ack(to, joined),
            Some(Answer::Event) => self.emit(event::JOINED, joined),
            None => Ok(()),
        }
    }

    /// A message's finished frame, to everybody or again to this one.
    pub(crate) fn chat_message(&self, entry: &Entry, frame: &Bytes, fan_out: Option<&FanOut>) -> Result<(), Closed> {
        let Some(fan_out) = fan_out else {
            self.queued(self.voice.push(frame.clone(), &self.broadcasts.replays))?;
            add(&self.metrics.delivered_replay);
            return Ok(());
        };
        let to_all = self.broadcasts.of(fan_out, frame, entry.offset.ms(), &self.metrics);
        self.queued(self.voice.push_broadcast(&to_all.message, &to_all.batch))?;
        to_all.delivered();
        Ok(())
    }

    pub(crate) fn fetch(&self) {
        self.connection().fetch();
    }

    /// Returns when the client has taken enough for another page of replay.
    pub(crate) async fn writable(&self) {
        self.connection().below(self.pause).await;
    }

    pub(super) fn emit<T: Serialize>(&self, event: &'static str, payload: &T) -> Result<(), Closed> {
        self.send(event_frame(event, payload))
    }

    /// Nothing happens when no ack was asked for.
    pub(super) fn ack<T: Serialize>(&self, to: Ack, payload: &T) -> Result<(), Closed> {
        to.map_or(Ok(()), |id| self.send(written(format_args!("43{id}["), payload)))
    }

    /// A refusal is the ack's `error`, and always an event too.
    pub(super) fn refuse(&self, to: Ack, refusal: &Refusal) -> Result<(), Closed> {
        self.metrics.refused(refusal.code);
        self.ack(to, &refusal.answer())?;
        self.emit(event::ERROR, &refusal.event())
    }

    /// Ends the session without another word.
    pub(crate) fn close(&self) {
        self.connection().cut();
    }

    /// Socket.IO's own goodbye, behind everything that was said: its client does not come back by itself.
    pub(super) fn disconnect(&self) {
        if Arc::clone(&self.socket).disconnect().is_err() {
            self.close();
        }
    }

    /// The session is over; was it because its client took too little?
    pub(super) fn ended(&self) {
        if let Some(Cut::TooMuch | Cut::Stalled) = self.connection().why_cut() {
            add(&self.metrics.slow_consumers);
            tracing::warn!(socket = %self.socket.id, "a slow consumer was closed; it resumes from its offset");
        }
    }

    pub(crate) fn socket(&self) -> &Arc<Socket<A>> {
        &self.socket
    }

    pub(super) fn voice(&self) -> &Voice {
        &self.voice
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        self.voice.connection()
    }

    fn take_answer(&self, room: &Room) -> Option<Answer> {
        let mut answers = self.answers.lock().expect("no panic while it is held");
        let nth = answers.iter().position(|(asked, _)| asked == room)?;
        let (_, answer) = answers.swap_remove(nth);
        if answers.is_empty() {
            *answers = Vec::new();
        }
        Some(answer)
    }

    fn send(&self, frame: Bytes) -> Result<(), Closed> {
        self.queued(self.voice.send(frame))
    }

    fn queued(&self, waiting: Result<usize, system_wire::Closed>) -> Result<(), Closed> {
        self.metrics.waiting(waiting.map_err(|system_wire::Closed| Closed)?);
        Ok(())
    }
}

/// An event as Socket.IO writes it, finished.
pub(crate) fn event_frame<T: Serialize>(event: &'static str, payload: &T) -> Bytes {
    written(format_args!("42[\"{event}\","), payload)
}

fn written<T: Serialize>(head: fmt::Arguments<'_>, payload: &T) -> Bytes {
    let mut packet = Vec::with_capacity(USUAL);
    write!(packet, "{head}").expect("memory takes everything");
    serde_json::to_writer(&mut packet, payload).expect("what we say is JSON");
    packet.push(b']');
    frame::text(std::str::from_utf8(&packet).expect("JSON is UTF-8"))
}
