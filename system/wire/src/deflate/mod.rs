//! permessage-deflate (RFC 7692), compressed **once per broadcast with the room's own context**.
//!
//! Chat messages are short: each compressed alone saves a fifth, with what went before as context three fifths. Servers
//! keep that context per connection, and so compress once per member. But a peer's window holds what came to it
//! *compressed* and nothing else; so a [`Room`] has one deflate stream, whose output is the same frame for every member
//! whose window holds exactly what the stream has written. The stream forgets everything every 64 KiB (an *epoch*), and
//! that is where members enter.
//!
//! | a member gets | when |
//! |---|---|
//! | the shared frame | its window holds what the room's stream wrote, or the stream begins an epoch |
//! | the frame compressed alone, once for all such members | it waits for an epoch, it agreed to no context, or the room has no stream |
//! | the plain frame | the message is below the threshold, nothing was agreed on, or its window is another room's |
//!
//! How to use it, all of it pure (no socket, no clock, no task):
//! 1. [`Deflate::negotiate`] with the request's `Sec-WebSocket-Extensions`, and the [`Agreement`]'s `Display` in the
//!    response; [`Deflate::peer`] is then what the server knows of the other side's window.
//! 2. Everything that leaves asks the peer, **under the lock that orders the connection's bytes, and is queued under
//!    the same lock**: [`Broadcast::frame`] for a frame of a room, [`Peer::alone`] for any other. Once a frame was
//!    given for a peer it must reach it, in that order, or the connection must end.
//! 3. Everything that comes passes a [`Decoder`], which hands plain frames to the server above. It keeps no window:
//!    the answer always says `client_no_context_takeover`.
//! 4. [`Deflate::sweep`] every few seconds takes the streams of rooms that went quiet.
//!
//! Deliberately absent: a window per connection, either way; the client's side.

mod codec;
mod decoder;
mod extension;
mod negotiation;
mod peer;
mod room;
mod stream;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

pub use decoder::{DecodeError, Decoder};
pub use extension::Malformed;
pub use negotiation::Agreement;
pub use peer::Peer;
pub use room::{Broadcast, Room};

/// A room that was quiet for so long gives its streams back when another room wants the memory.
const QUIET: Duration = Duration::from_secs(10);
/// And one that was quiet for so long in any case. People pause, and what the room's members have of its stream is worth
/// keeping meanwhile.
const IDLE: Duration = Duration::from_mins(1);
/// Looking for quiet rooms takes time: so often at most.
const SWEEP: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Bytes of payload from which on a message is compressed; 0 is everything.
    pub threshold: usize,
    /// The base-2 logarithm of the window that is compressed with at most, 9 to 15. Below 15 a stream takes less memory
    /// and saves less.
    pub window_bits: u8,
    /// Streams that exist at most, of 368 KiB each at 15 bits. A room needs one per window size that its members agreed
    /// on, and nearly all agree on 15 bits.
    pub streams: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { threshold: 1024, window_bits: 15, streams: 128 }
    }
}

/// What the rooms and peers of one server share.
pub struct Deflate {
    settings: Settings,
    streams: AtomicUsize,
    quiet: Mutex<Quiet>,
    counts: Counts,
}

/// Rooms that have streams, to be asked for them.
struct Quiet {
    rooms: Vec<Weak<Room>>,
    next: Option<Instant>,
}

#[derive(Default)]
struct Counts {
    shared: AtomicU64,
    alone: AtomicU64,
    epochs: AtomicU64,
    sent: Sent<AtomicU64>,
}

/// Frames to peers that agreed on compression, by form, and their bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sent<N = u64> {
    /// As the room's stream wrote it for all.
    pub shared: N,
    /// Compressed by itself.
    pub alone: N,
    pub plain: N,
    /// Bytes that all of them have plain, headers included.
    pub bytes_plain: N,
    /// Bytes that went out.
    pub bytes_sent: N,
}

/// What was done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Streams that exist now.
    pub streams: usize,
    /// Messages compressed with a room's context.
    pub shared: u64,
    /// Messages compressed alone.
    pub alone: u64,
    /// Epochs begun.
    pub epochs: u64,
    /// Frames given out. Those of a [`Broadcast`] are counted when it is dropped.
    pub sent: Sent,
}

impl Deflate {
    /// # Panics
    /// When `window_bits` is not from 9 to 15.
    pub fn new(settings: Settings) -> Arc<Self> {
        assert!(negotiation::WINDOW_BITS.contains(&settings.window_bits), "window bits: {}", settings.window_bits);
        let quiet = Mutex::new(Quiet { rooms: Vec::new(), next: None });
        Arc::new(Deflate { settings, streams: AtomicUsize::new(0), quiet, counts: Counts::default() })
    }

    /// Which offer is accepted. `fields`: the values of the request's `Sec-WebSocket-Extensions` fields in order; without
    /// any there is no compression. `Ok(None)`: answer without the field.
    pub fn negotiate<'a>(&self, fields: impl IntoIterator<Item = &'a str>) -> Result<Option<Agreement>, Malformed> {
        negotiation::negotiate(fields, self.settings.window_bits)
    }

    /// The other side of a connection at its beginning. `None`: it gets everything plain.
    pub fn peer(self: &Arc<Self>, agreed: Option<Agreement>) -> Peer {
        Peer::new(agreed.map(|agreed| (Arc::clone(self), agreed)))
    }

    /// The compression of one room, as long as the room exists.
    pub fn room(self: &Arc<Self>) -> Arc<Room> {
        Room::new(Arc::clone(self))
    }

    pub fn numbers(&self) -> Numbers {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Numbers {
            streams: self.streams.load(Ordering::Relaxed),
            shared: count(&self.counts.shared),
            alone: count(&self.counts.alone),
            epochs: count(&self.counts.epochs),
            sent: Sent {
                shared: count(&self.counts.sent.shared),
                alone: count(&self.counts.sent.alone),
                plain: count(&self.counts.sent.plain),
                bytes_plain: count(&self.counts.sent.bytes_plain),
                bytes_sent: count(&self.counts.sent.bytes_sent),
            },
        }
    }

    fn count(&self, sent: Sent) {
        let all = &self.counts.sent;
        let pairs = [
            (&all.shared, sent.shared),
            (&all.alone, sent.alone),
            (&all.plain, sent.plain),
            (&all.bytes_plain, sent.bytes_plain),
            (&all.bytes_sent, sent.bytes_sent),
        ];
        for (count, more) in pairs {
            if more > 0 {
                count.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    /// Takes the streams of rooms that were quiet for a minute; their members wait for another epoch then.
    pub fn sweep(&self, now: Instant) {
        self.take_streams(now, IDLE);
    }

    fn take_streams(&self, now: Instant, quiet_for: Duration) {
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        if quiet.next.is_some_and(|next| now < next) {
            return;
        }
        quiet.next = Some(now + SWEEP);
        quiet.rooms.retain(|room| room.upgrade().is_some_and(|room| room.keeps_streams(now, quiet_for)));
    }
}
