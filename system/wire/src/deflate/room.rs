//! The compression of one room: its streams, and each broadcast in every form that a member asks for, made once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::negotiation::Agreement;
use super::peer::{Peer, Tier, alone};
use super::stream::{EPOCH, Fed, Place, Stream};
use super::{Deflate, QUIET, Sent};
use crate::header::plain_message;

/// Deliveries to members that could share a context, without a pause of [`QUIET`], from which on a room is worth a
/// stream.
const BUSY: usize = 64;
/// An epoch may end early when it is this old, in plain bytes, and more members wait for the next than share it: a
/// fresh start costs less than they lose by waiting.
const EARLY: usize = EPOCH / 8;

pub struct Room {
    id: u64,
    deflate: Arc<Deflate>,
    state: Mutex<State>,
    /// Deliveries since the last pause.
    takers: AtomicUsize,
    /// Of the broadcast before: who could follow the stream, and who could not.
    sharing: AtomicUsize,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// One per window size in use, and few.
    streams: Vec<Stream>,
    last: Option<Instant>,
    /// Whether the room is worth a stream; asked between messages, so that a stream begins with all who can share it.
    busy: bool,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Room {
    pub(super) fn new(deflate: Arc<Deflate>) -> Arc<Self> {
        Arc::new(Room {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            deflate,
            state: Mutex::default(),
            takers: AtomicUsize::new(0),
            sharing: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        })
    }

    /// One message for the members of the room, as a finished plain frame. Nothing is compressed before a member asks.
    pub fn broadcast(self: &Arc<Self>, frame: Bytes, now: Instant) -> Broadcast {
        let payload = plain_message(&frame).filter(|at| frame.len() - at >= self.deflate.settings.threshold);
        if payload.is_some() {
            self.next_message(now);
        }
        let (made, plainly) = (Mutex::default(), AtomicU64::new(0));
        Broadcast { room: Arc::clone(self), plain: frame, payload, made, plainly }
    }

    fn next_message(&self, now: Instant) {
        let (sharing, waiting) = (self.sharing.swap(0, Ordering::Relaxed), self.waiting.swap(0, Ordering::Relaxed));
        let mut state = self.lock();
        if state.last.is_some_and(|last| now.saturating_duration_since(last) > QUIET) {
            self.takers.store(0, Ordering::Relaxed);
        }
        state.last = Some(now);
        state.busy = self.takers.load(Ordering::Relaxed) >= BUSY;
        for stream in &mut state.streams {
            if stream.fed >= EPOCH || (stream.fed >= EARLY && waiting > sharing) {
                stream.begin_epoch();
            }
        }
    }

    /// The next message of the stream of that window, if one who knows where it stands makes that the tier. The stream
    /// is begun if the room is busy enough.
    fn next(
        self: &Arc<Self>,
        window_bits: u8,
        tier: impl FnOnce(Option<Place>) -> Tier,
        feed: impl FnOnce(&mut Stream) -> Fed,
    ) -> (Tier, Option<Fed>) {
        self.takers.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        let state = &mut *state;
        let known = state.streams.iter().position(|stream| stream.window_bits == window_bits);
        if known.is_none() && state.busy {
            let new = state.last.and_then(|last| self.deflate.new_stream(self, window_bits, last));
            state.streams.extend(new);
        }
        let stream = state.streams.iter_mut().find(|stream| stream.window_bits == window_bits);
        let tier = tier(stream.as_ref().map(|stream| stream.place));
        (tier, stream.filter(|_| tier == Tier::Shared).map(feed))
    }

    /// Takes the streams of a quiet room. A room that is being used is not quiet.
    pub(super) fn keeps_streams(&self, now: Instant, quiet_for: Duration) -> bool {
        let Ok(mut state) = self.state.try_lock() else { return true };
        if state.last.is_none_or(|last| now.saturating_duration_since(last) > quiet_for) {
            state.streams.clear();
        }
        !state.streams.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deflate {
    /// A stream for a room whose lock is held.
    fn new_stream(self: &Arc<Self>, room: &Arc<Room>, window_bits: u8, now: Instant) -> Option<Stream> {
        let stream = Stream::new(self, window_bits).or_else(|| {
            self.take_streams(now, QUIET);
            Stream::new(self, window_bits)
        })?;
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = quiet.rooms.iter().any(|listed| std::ptr::eq(listed.as_ptr(), Arc::as_ptr(room)));
        if !listed {
            quiet.rooms.push(Arc::downgrade(room));
        }
        Some(stream)
    }
}

/// One message on its way to the members of a room.
pub struct Broadcast {
    room: Arc<Room>,
    plain: Bytes,
    /// Where in `plain` it begins; `None` when it is not to be compressed.
    payload: Option<usize>,
    made: Mutex<Made>,
    /// Peers that could have got it compressed, and got it plain.
    plainly: AtomicU64,
}

#[derive(Default)]
struct Made {
    /// Per window size.
    shared: Vec<(u8, Fed)>,
    alone: Vec<(u8, Bytes)>,
    sent: Sent,
}

impl Broadcast {
    /// The frame as this peer can read it. What is returned must be the next that is queued for the peer.
    pub fn frame(&self, peer: &mut Peer) -> Bytes {
        let Some(agreed) = peer.agreement() else { return self.plain.clone() };
        let Some(payload) = self.payload() else { return self.plainly() };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        match self.shared(&mut made, agreed, peer, payload) {
            (Tier::Plain, _) => return self.plainly(),
            (Tier::Shared, Some(fed)) => {
                self.room.sharing.fetch_add(1, Ordering::Relaxed);
                peer.shared(self.room.id, &fed, payload.len());
                made.sent.shared += 1;
                made.sent.bytes_sent += fed.frame.len() as u64;
                return fed.frame;
            }
            (Tier::Alone | Tier::Shared, _) => {}
        }
        self.room.waiting.fetch_add(usize::from(!agreed.without_context), Ordering::Relaxed);
        let alone = self.alone(&mut made, agreed);
        if alone.len() >= self.plain.len() {
            return self.plainly();
        }
        peer.compressed_alone();
        made.sent.alone += 1;
        made.sent.bytes_sent += alone.len() as u64;
        alone
    }

    fn plainly(&self) -> Bytes {
        self.plainly.fetch_add(1, Ordering::Relaxed);
        self.plain.clone()
    }

    fn payload(&self) -> Option<&[u8]> {
        self.payload.map(|start| &self.plain[start..])
    }

    /// The peer's tier, and what the room's stream wrote if that is the shared one.
    fn shared(&self, made: &mut Made, agreed: Agreement, peer: &mut Peer, payload: &[u8]) -> (Tier, Option<Fed>) {
        let bits = agreed.window_bits;
        let mut tier = |next| peer.tier(self.room.id, next, payload.len());
        if agreed.without_context {
            return (tier(None), None);
        }
        if let Some((_, fed)) = made.shared.iter().find(|(known, _)| *known == bits) {
            return (tier(Some(fed.before)), Some(fed.clone()));
        }
        let next = self.room.next(bits, tier, |stream| stream.feed(self.plain[0], payload));
        made.shared.extend(next.1.clone().map(|fed| (bits, fed)));
        next
    }

    fn alone(&self, made: &mut Made, agreed: Agreement) -> Bytes {
        if let Some((_, frame)) = made.alone.iter().find(|(bits, _)| *bits == agreed.window_bits) {
            return frame.clone();
        }
        let frame = alone(&self.room.deflate, agreed, self.plain[0], self.payload().unwrap_or_default());
        made.alone.push((agreed.window_bits, frame.clone()));
        frame
    }
}

impl Drop for Broadcast {
    fn drop(&mut self) {
        let Made { mut sent, .. } = std::mem::take(self.made.get_mut().unwrap_or_else(PoisonError::into_inner));
        let bytes = self.plain.len() as u64;
        sent.plain = *self.plainly.get_mut();
        sent.bytes_sent += sent.plain * bytes;
        sent.bytes_plain = (sent.shared + sent.alone + sent.plain) * bytes;
        self.room.deflate.count(sent);
    }
}
