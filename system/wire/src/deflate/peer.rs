//! What the server knows of one peer's inflater, and so which frame it can read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::codec::compress_alone;
use super::negotiation::Agreement;
use super::stream::{EPOCH, Fed, Place, compressed};
use super::{Deflate, Sent};
use crate::header::plain_message;

/// The other side of a connection; by default one that takes everything plain. To be asked under the lock that orders
/// the connection's bytes.
#[derive(Default)]
pub struct Peer {
    agreed: Option<(Arc<Deflate>, Agreement)>,
    window: Window,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Window {
    /// Nothing that a stream wrote, or nothing that is of use any more: the peer waits for an epoch.
    #[default]
    Waiting,
    /// The first messages of a room's epoch, and nothing compressed after them.
    Shares(Share),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    room: u64,
    place: Place,
    /// What the room carries, less what the peer's other rooms send plain because of it: bytes, at most an epoch.
    credit: usize,
}

/// How a message of a room goes to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    Plain,
    Alone,
    /// The room's stream, if it is at a place that the peer can follow.
    Shared,
}

impl Peer {
    pub(super) fn new(agreed: Option<(Arc<Deflate>, Agreement)>) -> Self {
        Peer { agreed, window: Window::Waiting }
    }

    /// Whether a room's stream wrote what the peer's window holds.
    pub fn shares_a_context(&self) -> bool {
        matches!(self.window, Window::Shares(_))
    }

    /// What was agreed on.
    pub fn agreement(&self) -> Option<Agreement> {
        self.agreed.as_ref().map(|(_, agreed)| *agreed)
    }

    /// A frame for this peer only, finished and plain, as it is to be sent; `None`: as it is. To a peer that shares a
    /// room's context everything else goes plain, or it would lose it.
    pub fn alone(&mut self, frame: &[u8]) -> Option<Bytes> {
        let (deflate, agreed) = self.agreed.as_ref()?;
        let payload = plain_message(frame).map(|start| &frame[start..]);
        let payload = payload.filter(|payload| payload.len() >= deflate.settings.threshold && !self.shares_a_context());
        // Whatever window it has grown by this, nothing that comes will refer to it.
        let alone = payload.map(|payload| alone(deflate, *agreed, frame[0], payload));
        let alone = alone.filter(|alone| alone.len() < frame.len());
        let (plain, sent) = (frame.len() as u64, alone.as_ref().map_or(frame.len(), Bytes::len) as u64);
        let compressed = u64::from(alone.is_some());
        deflate.count(Sent {
            alone: compressed,
            plain: 1 - compressed,
            bytes_plain: plain,
            bytes_sent: sent,
            shared: 0,
        });
        alone
    }

    /// How a message of `bytes` from that room goes to this peer, which agreed to compression. `next`: where a stream is
    /// that it could follow.
    pub(super) fn tier(&mut self, room: u64, next: Option<Place>, bytes: usize) -> Tier {
        if let Window::Shares(share) = &mut self.window
            && share.room != room
        {
            // It stays with a room that carries as much as its other rooms together.
            if let Some(credit) = share.credit.checked_sub(bytes) {
                share.credit = credit;
                return Tier::Plain;
            }
            self.window = Window::Waiting;
        }
        match next {
            Some(next) if self.can_follow(next) => Tier::Shared,
            _ => Tier::Alone,
        }
    }

    fn can_follow(&self, next: Place) -> bool {
        next.is_fresh() || matches!(self.window, Window::Shares(share) if share.place == next)
    }

    /// The message of the room's stream is what the peer gets.
    pub(super) fn shared(&mut self, room: u64, fed: &Fed, bytes: usize) {
        let credit = match self.window {
            Window::Shares(share) if share.room == room => share.credit,
            _ => EPOCH / 2,
        };
        let credit = (credit + bytes).min(EPOCH);
        self.window = Window::Shares(Share { room, place: fed.after, credit });
    }

    /// Something compressed outside a stream is what the peer gets.
    pub(super) fn compressed_alone(&mut self) {
        self.window = Window::Waiting;
    }
}

/// A finished frame that refers to nothing before it.
pub(super) fn alone(deflate: &Deflate, agreed: Agreement, first: u8, payload: &[u8]) -> Bytes {
    deflate.counts.alone.fetch_add(1, Ordering::Relaxed);
    compressed(first, |out| compress_alone(agreed.window_bits, payload, out))
}
