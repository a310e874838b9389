//! The compression of one room: its streams, and each broadcast in every form that a member asks for, made once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::header::plain_message;
use super::negotiation::Agreement;
use super::peer::{Peer, Tier, alone};
use super::stream::{EPOCH, Fed, Place, Stream};
use super::{Deflate, QUIET};

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
        Broadcast { room: Arc::clone(self), plain: frame, payload, made: Mutex::default() }
    }

    fn next_message(&self, now: Instant) {
        let (sharing, waiting) = (self.sharing.swap(0, Ordering::Relaxed), self.waiting.swap(0, Ordering::Relaxed));
        let mut state = self.lock();
        if state.last.is_some_and(|last| now.saturating_duration_since(last) > QUIET) {
            self.takers.store(0, Ordering::Relaxed);
        }
        state.last = Some(now);
        for stream in &mut state.streams {
            if stream.fed >= EPOCH || (stream.fed >= EARLY && waiting > sharing) {
                stream.begin_epoch();
            }
        }
    }

    /// Where the stream of that window stands; it is begun if the room is busy enough.
    fn place(self: &Arc<Self>, window_bits: u8) -> Option<Place> {
        let busy = self.takers.fetch_add(1, Ordering::Relaxed) >= BUSY;
        let mut state = self.lock();
        let known = state.streams.iter().find(|stream| stream.window_bits == window_bits);
        if known.is_some() || !busy {
            return known.map(|stream| stream.place);
        }
        let stream = self.deflate.new_stream(self, window_bits, state.last?)?;
        let place = stream.place;
        state.streams.push(stream);
        Some(place)
    }

    /// The next message of that stream, unless it has gone or moved on.
    fn feed(&self, window_bits: u8, at: Place, first: u8, payload: &[u8]) -> Option<Fed> {
        let mut state = self.lock();
        let stream = state.streams.iter_mut().find(|stream| stream.window_bits == window_bits)?;
        (stream.place == at).then(|| stream.feed(first, payload))
    }

    /// Takes the streams of a quiet room. A room that is being used is not quiet.
    pub(super) fn keeps_streams(&self, now: Instant) -> bool {
        let Ok(mut state) = self.state.try_lock() else { return true };
        if state.last.is_none_or(|last| now.saturating_duration_since(last) > QUIET) {
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
            self.sweep(now);
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
}

/// Per window size.
#[derive(Default)]
struct Made {
    shared: Vec<(u8, Fed)>,
    alone: Vec<(u8, Bytes)>,
}

impl Broadcast {
    /// The frame as this peer can read it. What is returned must be the next that is queued for the peer.
    pub fn frame(&self, peer: &mut Peer) -> Bytes {
        let (Some(payload), Some(agreed)) = (self.payload(), peer.agreement()) else { return self.plain.clone() };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let next = if agreed.without_context { None } else { self.place(&made, agreed.window_bits) };
        let shared = match peer.tier(self.room.id, next, payload.len()) {
            Tier::Plain => return self.plain.clone(),
            Tier::Alone => None,
            Tier::Shared => next.and_then(|next| self.shared(&mut made, agreed.window_bits, next)),
        };
        if let Some(fed) = shared {
            self.room.sharing.fetch_add(1, Ordering::Relaxed);
            peer.shared(self.room.id, &fed, payload.len());
            return fed.frame;
        }
        self.room.waiting.fetch_add(usize::from(!agreed.without_context), Ordering::Relaxed);
        let alone = self.alone(&mut made, agreed);
        if alone.len() >= self.plain.len() {
            return self.plain.clone();
        }
        peer.compressed_alone();
        alone
    }

    fn payload(&self) -> Option<&[u8]> {
        self.payload.map(|start| &self.plain[start..])
    }

    /// What a window must hold for the shared frame.
    fn place(&self, made: &Made, window_bits: u8) -> Option<Place> {
        let fed = made.shared.iter().find(|(bits, _)| *bits == window_bits);
        fed.map(|(_, fed)| fed.before).or_else(|| self.room.place(window_bits))
    }

    /// `None` when the stream is not there any more, or has gone on with a later message.
    fn shared(&self, made: &mut Made, window_bits: u8, at: Place) -> Option<Fed> {
        if let Some((_, fed)) = made.shared.iter().find(|(bits, _)| *bits == window_bits) {
            return Some(fed.clone());
        }
        let fed = self.room.feed(window_bits, at, self.plain[0], self.payload()?)?;
        made.shared.push((window_bits, fed.clone()));
        Some(fed)
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
