//! What is to leave a connection, in its order: the state behind the lock of [`Connection`](crate::Connection).

use std::io;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use crate::connection::Passage;
use crate::deflate::Peer;
use crate::queue::Queue;
use crate::room::{Key, Room};
use crate::transport::Transport;

/// The connection takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("connection is closed")]
pub struct Closed;

/// Why a connection was cut from our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// [`Connection::cut`] was called.
    Asked,
    /// More waited than [`Settings::limit`] allows.
    TooMuch,
    /// The peer took nothing for longer than [`Settings::patience`].
    Stalled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// A Close frame of the server's has passed; nothing may follow it.
    Closing,
    /// One of ours has: the server, too, is told that it is over.
    Closed,
    Cut(Cut),
    /// The stream failed under us.
    Broken,
}

pub(crate) struct Out {
    /// What the other side can inflate.
    pub(crate) peer: Peer,
    /// Given back when the stream has ended and nothing waits any more, whoever still holds the handle.
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) queue: Queue,
    /// Ready frames that wait for the server's own answers to this many CONNECTs.
    pub(crate) held: Option<Box<Queue>>,
    pub(crate) opening: usize,
    /// Those that were given out, and up to which they are over.
    pub(crate) voices: u32,
    pub(crate) silenced: u32,
    pub(crate) state: State,
    /// The server dropped its stream.
    pub(crate) ended: bool,
    /// A task waits for the peer to take more.
    pub(crate) draining: bool,
    /// A batch is about to flush this.
    pub(crate) armed: bool,
    /// So many want to know when less waits, or of the end.
    pub(crate) watchers: usize,
    pub(crate) rooms: Vec<(Key, Weak<Room>)>,
}

impl Out {
    pub(crate) fn on(transport: Arc<dyn Transport>) -> Out {
        Out {
            peer: Peer::default(),
            transport: Some(transport),
            queue: Queue::default(),
            held: None,
            opening: 0,
            voices: 0,
            silenced: 0,
            state: State::Open,
            ended: false,
            draining: false,
            armed: false,
            watchers: 0,
            rooms: Vec::new(),
        }
    }

    /// `voice`: who says it, when it is a [`Voice`](crate::Voice).
    pub(crate) fn push(&mut self, voice: Option<u32>, frame: impl FnOnce(&mut Peer) -> Bytes) -> Result<(), Closed> {
        self.takes()?;
        if voice.is_some_and(|voice| voice <= self.silenced) {
            return Err(Closed);
        }
        let frame = frame(&mut self.peer);
        let queue = if self.opening > 0 { self.held.get_or_insert_default() } else { &mut self.queue };
        queue.push(frame);
        Ok(())
    }

    /// Takes whole frames; what is left is the beginning of another.
    pub(crate) fn accept<'a>(&mut self, mut frames: &'a [u8], inspect: fn(&[u8]) -> Passage) -> &'a [u8] {
        while self.state == State::Open {
            let Some((frame, after)) = crate::frame::split(frames) else { return frames };
            frames = after;
            match if frame.is_text() { inspect(frame.payload) } else { Passage::Pass } {
                Passage::Instead(payload) => self.pass(&crate::frame::text(&payload)),
                Passage::Pass => self.pass(frame.whole),
                Passage::Opens => {
                    self.pass(frame.whole);
                    self.opened();
                }
            }
            if frame.is_close() {
                self.state = State::Closing;
                self.held = None;
            }
        }
        // Nothing follows a Close frame, whoever sent it.
        &[]
    }

    fn pass(&mut self, frame: &[u8]) {
        let alone = self.peer.alone(frame);
        self.queue.push(alone.unwrap_or_else(|| Bytes::copy_from_slice(frame)));
    }

    fn opened(&mut self) {
        self.opening = self.opening.saturating_sub(1);
        if self.opening == 0 {
            self.queue.append(self.held.take().map_or_else(Queue::default, |held| *held));
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queue.waiting() + self.held.as_ref().map_or(0, |held| held.waiting())
    }

    pub(crate) fn takes(&self) -> Result<(), Closed> {
        if self.state == State::Open && !self.ended { Ok(()) } else { Err(Closed) }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.ended || matches!(self.state, State::Cut(_) | State::Broken)
    }

    pub(crate) fn alive(&self) -> io::Result<()> {
        match self.state {
            State::Open | State::Closing => Ok(()),
            State::Cut(Cut::Stalled) => Err(io::ErrorKind::TimedOut.into()),
            State::Closed | State::Cut(_) | State::Broken => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

/// The frame in the form that the peer can read by itself.
pub(crate) fn alone(peer: &mut Peer, frame: Bytes) -> Bytes {
    peer.alone(&frame).unwrap_or(frame)
}
