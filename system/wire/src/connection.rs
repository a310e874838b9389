//! The handle of one connection: what others may know of it and do to it while a WebSocket server owns the stream.
//!
//! Everything that leaves goes through one queue under one lock: ready frames of ours and the server's own, in the
//! order in which they came. What the kernel takes at once is written at once; the rest is drained by a task that lives
//! as long as the peer is behind. A peer that lets too much wait, or takes nothing for too long, loses its connection:
//! nothing is ever dropped from the middle.

use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::batch::Batch;
use crate::deflate::{Broadcast, Peer};
use crate::drain;
use crate::frame;
use crate::out::{Closed, Cut, Out, State, alone};
use crate::queue::Queue;
use crate::room::{Key, Room};
use crate::transport::Transport;
use crate::voice::Voice;
use crate::wire::Wire;

/// What a connection is held to.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Bytes that may wait for the peer before it is given up.
    pub limit: usize,
    /// How long the peer may take no bytes at all while some wait for it.
    pub patience: Duration,
    /// Requests that may be unanswered before the stream is read no further.
    pub requests: usize,
    /// What the server's own text frames mean.
    pub inspect: fn(&[u8]) -> Passage,
}

/// What becomes of a text frame of the server's own, by its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passage {
    /// It goes out as it is.
    Pass,
    /// It does, and what [`Connection::hold`] held back follows it.
    Opens,
    /// This goes out in its place.
    Instead(String),
}

/// One connection. Holding it holds no descriptor: that goes with the stream.
pub struct Connection {
    out: Mutex<Out>,
    settings: Settings,
    /// Requests read and not yet worked off.
    requests: AtomicUsize,
    reader: AtomicWaker,
    /// Less waits, a voice ended, or the server dropped its stream.
    changed: Notify,
}

impl Connection {
    /// The handle, and the stream for the WebSocket server. `early` is what was read before; `guard` is dropped with
    /// the stream.
    pub fn new<G>(
        transport: Arc<dyn Transport>,
        early: Bytes,
        settings: Settings,
        guard: G,
    ) -> (Arc<Connection>, Wire<G>) {
        let connection = Arc::new(Connection {
            out: Mutex::new(Out::on(Arc::clone(&transport))),
            settings,
            requests: AtomicUsize::new(0),
            reader: AtomicWaker::new(),
            changed: Notify::new(),
        });
        let wire = Wire::new(Arc::clone(&connection), transport, early, guard);
        (connection, wire)
    }

    /// One who may speak here until told otherwise: a session, which may end before its connection.
    pub fn voice(self: &Arc<Self>) -> Voice {
        let mut out = self.lock();
        out.voices += 1;
        Voice { connection: Arc::clone(self), number: out.voices }
    }

    /// Reads what pushing and writing begin with: called for several in a row, memory brings all in the time of one.
    pub fn fetch(&self) {
        black_box((self.out.is_poisoned(), self.settings.limit, self.requests.load(Ordering::Relaxed)));
    }

    /// The same for the stream below, which is elsewhere in memory.
    pub(crate) fn fetch_stream(&self) {
        if let Some(transport) = &self.lock().transport {
            transport.fetch();
        }
    }

    /// Queues a finished frame and writes what waits, at once. Returns how many bytes still do.
    pub fn send(self: &Arc<Self>, frame: Bytes) -> Result<usize, Closed> {
        self.send_as(None, frame)
    }

    /// Queues a finished frame; the batch writes it soon, together with what comes until then. Returns how many bytes
    /// wait.
    pub fn push(self: &Arc<Self>, frame: Bytes, batch: &Arc<Batch>) -> Result<usize, Closed> {
        self.push_as(None, batch, |peer| alone(peer, frame))
    }

    /// As [`Connection::push`], a message of a room in the form that the other side can read.
    pub fn push_broadcast(self: &Arc<Self>, message: &Broadcast, batch: &Arc<Batch>) -> Result<usize, Closed> {
        self.push_as(None, batch, |peer| message.frame(peer))
    }

    pub(crate) fn send_as(self: &Arc<Self>, voice: Option<u32>, frame: Bytes) -> Result<usize, Closed> {
        let mut out = self.lock();
        out.push(voice, |peer| alone(peer, frame))?;
        self.write(&mut out);
        out.takes().map(|()| out.waiting())
    }

    pub(crate) fn push_as(
        self: &Arc<Self>,
        voice: Option<u32>,
        batch: &Arc<Batch>,
        frame: impl FnOnce(&mut Peer) -> Bytes,
    ) -> Result<usize, Closed> {
        let mut out = self.lock();
        out.push(voice, frame)?;
        if out.waiting() > self.settings.limit {
            // Perhaps nobody asked the peer yet.
            self.write(&mut out);
            out.takes()?;
        }
        let (waiting, armed) = (out.waiting(), std::mem::replace(&mut out.armed, true));
        drop(out);
        if !armed {
            batch.add(Arc::clone(self));
        }
        Ok(waiting)
    }

    pub(crate) fn silence(&self, voice: u32) {
        let mut out = self.lock();
        out.silenced = out.silenced.max(voice);
        drop(out);
        self.changed.notify_waiters();
    }

    /// Before anything was queued.
    pub(crate) fn compress_for(&self, peer: Peer) {
        self.lock().peer = peer;
    }

    /// Ends the connection with a Close frame behind everything that was said: its status (RFC 6455, section 7.4) and a
    /// short reason. The server learns it as the end of its stream.
    pub fn close(self: &Arc<Self>, status: u16, reason: &'static str) {
        let mut out = self.lock();
        if out.state == State::Open {
            out.queue.push(frame::close(status, reason));
            (out.state, out.held) = (State::Closed, None);
            self.write(&mut out);
            self.reader.wake();
        }
    }

    /// Writes what waits.
    pub(crate) fn flush(self: &Arc<Self>) {
        let mut out = self.lock();
        out.armed = false;
        self.write(&mut out);
    }

    /// Ready frames wait until one more of the server's own frames has passed that [`Settings::inspect`] calls
    /// [`Passage::Opens`]. To be called before that frame is queued.
    pub fn hold(&self) {
        self.lock().opening += 1;
    }

    /// Ends the connection now, without a word to the peer and without waiting for it.
    pub fn cut(&self) {
        let mut out = self.lock();
        self.cut_because(&mut out, Cut::Asked);
    }

    /// Whether and why we cut it.
    pub fn why_cut(&self) -> Option<Cut> {
        match self.lock().state {
            State::Cut(why) => Some(why),
            _ => None,
        }
    }

    /// Bytes that wait for the peer.
    pub fn waiting(&self) -> usize {
        self.lock().waiting()
    }

    /// Returns when fewer than `limit` bytes wait, or the connection is over.
    pub fn below(&self, limit: usize) -> impl Future<Output = ()> {
        self.until(move |out| {
            let below = out.waiting() < limit || out.is_over();
            out.watchers += usize::from(!below);
            below
        })
    }

    /// Returns when the server has dropped its stream.
    pub fn ended(&self) -> impl Future<Output = ()> {
        self.until(|out| out.ended)
    }

    /// Returns when that is so, which comes with a change.
    pub(crate) async fn until(&self, so: impl Fn(&mut Out) -> bool) {
        loop {
            let changed = self.changed.notified();
            if so(&mut self.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// One request was read; the stream is read no further while [`Settings::requests`] of them are unanswered.
    pub fn requested(&self) {
        self.requests.fetch_add(1, Ordering::AcqRel);
    }

    /// One request was worked off.
    pub fn handled(&self) {
        if self.requests.fetch_sub(1, Ordering::AcqRel) == self.settings.requests {
            self.reader.wake();
        }
    }

    /// Whether the stream may be read; if not, the reader is woken when it may.
    pub(crate) fn poll_readable(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.reader.register(context.waker());
        self.alive()?;
        if self.requests.load(Ordering::Acquire) >= self.settings.requests {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    pub(crate) fn alive(&self) -> io::Result<()> {
        self.lock().alive()
    }

    /// The server's own frames, in their order. What is left is the beginning of another.
    pub(crate) fn accept<'a>(self: &Arc<Self>, frames: &'a [u8]) -> io::Result<&'a [u8]> {
        let mut out = self.lock();
        out.alive()?;
        let begun = out.accept(frames, self.settings.inspect);
        self.write(&mut out);
        out.alive().map(|()| begun)
    }

    /// The server dropped its stream: no room keeps it, and what waits may still leave.
    pub(crate) fn end(self: &Arc<Self>) {
        let rooms = {
            let mut out = self.lock();
            out.ended = true;
            self.write(&mut out);
            self.tell_less(&mut out);
            std::mem::take(&mut out.rooms)
        };
        for (key, room) in rooms {
            if let Some(room) = room.upgrade() {
                room.remove(key);
            }
        }
        self.changed.notify_waiters();
    }

    /// Called under the room's lock. It fails when the connection will not leave the room by itself any more.
    pub(crate) fn enter(&self, key: Key, room: Weak<Room>) -> Result<(), Closed> {
        let mut out = self.lock();
        out.takes()?;
        out.rooms.push((key, room));
        Ok(())
    }

    pub(crate) fn leave(&self, key: Key) {
        self.lock().rooms.retain(|(known, _)| *known != key);
    }

    /// One attempt with the drain task's waker; ready when there is nothing to wait for. `progress`: whether any bytes
    /// went.
    pub(crate) fn poll_drain(&self, context: &mut Context<'_>, progress: &mut bool) -> Poll<()> {
        let mut out = self.lock();
        let before = out.queue.waiting();
        let done = self.poll_out(&mut out, context);
        *progress = out.queue.waiting() < before;
        out.draining = done.is_pending();
        done
    }

    /// The drain task has waited long enough.
    pub(crate) fn give_up(&self) {
        let mut out = self.lock();
        out.draining = false;
        self.cut_because(&mut out, Cut::Stalled);
    }

    pub(crate) fn patience(&self) -> Duration {
        self.settings.patience
    }

    pub(crate) fn limit(&self) -> usize {
        self.settings.limit
    }

    fn write(self: &Arc<Self>, out: &mut Out) {
        if out.draining {
            return self.check_limit(out);
        }
        if self.poll_out(out, &mut Context::from_waker(Waker::noop())).is_pending() {
            self.check_limit(out);
            match Handle::try_current() {
                _ if out.transport.is_none() => {}
                Ok(runtime) => {
                    out.draining = true;
                    runtime.spawn(drain::run(Arc::clone(self)));
                }
                // The runtime is going away.
                Err(_) => self.give_back(out),
            }
        }
    }

    fn poll_out(&self, out: &mut Out, context: &mut Context<'_>) -> Poll<()> {
        let Some(transport) = &out.transport else { return Poll::Ready(()) };
        let before = out.queue.waiting();
        let done = out.queue.poll_write(&**transport, context);
        if out.watchers > 0 && out.queue.waiting() < before {
            self.tell_less(out);
        }
        match done {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) if out.ended => {
                if let Some(transport) = out.transport.take() {
                    transport.shutdown();
                }
            }
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => {
                out.state = State::Broken;
                self.give_back(out);
            }
        }
        Poll::Ready(())
    }

    fn check_limit(&self, out: &mut Out) {
        if out.waiting() > self.settings.limit {
            self.cut_because(out, Cut::TooMuch);
        }
    }

    fn cut_because(&self, out: &mut Out, why: Cut) {
        if !out.is_over() {
            out.state = State::Cut(why);
        }
        self.give_back(out);
    }

    /// Nothing is written any more: the reader learns it, and with its end the stream is closed.
    fn give_back(&self, out: &mut Out) {
        (out.queue, out.held) = (Queue::default(), None);
        if let Some(transport) = out.transport.take() {
            transport.abort();
        }
        self.reader.wake();
        self.tell_less(out);
    }

    /// Those who wait for it look again.
    fn tell_less(&self, out: &mut Out) {
        if std::mem::take(&mut out.watchers) > 0 {
            self.changed.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
