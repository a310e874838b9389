//! One direction of one connection: chunks with the time when they arrive, in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::{Control, Death, Host, Net};

/// What comes out at the far end.
#[derive(Debug, PartialEq, Eq)]
pub enum Got<T> {
    Chunk(T),
    /// The sender closed, or died: nothing follows.
    End,
}

struct Pipe<T> {
    from: Host,
    to: Host,
    inner: Mutex<Inner<T>>,
}

#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
struct Inner<T> {
    chunks: VecDeque<(Instant, Got<T>)>,
    /// No chunk arrives before the one sent before it.
    last: Instant,
    cut: bool,
    /// The source's machine is off: nothing goes in any more.
    mute: bool,
    ended: bool,
    deaf: bool,
    /// Reset: the far end knows at once, whatever is cut.
    broken: bool,
    reader: Option<Waker>,
}

/// The near end. Dropping it closes the connection in this direction.
pub struct Sender<T: Send + 'static> {
    pipe: Arc<Pipe<T>>,
    net: Net,
}

/// The far end.
pub struct Receiver<T: Send + 'static> {
    pipe: Arc<Pipe<T>>,
}

pub fn pipe<T: Send + 'static>(net: &Net, from: Host, to: Host) -> (Sender<T>, Receiver<T>) {
    let inner = Inner {
        chunks: VecDeque::new(),
        last: Instant::now(),
        cut: net.is_cut(from, to),
        mute: false,
        ended: false,
        deaf: false,
        broken: false,
        reader: None,
    };
    let pipe = Arc::new(Pipe { from, to, inner: Mutex::new(inner) });
    let control: Weak<dyn Control> = Arc::downgrade(&(pipe.clone() as Arc<dyn Control>));
    net.register(control);
    (Sender { pipe: pipe.clone(), net: net.clone() }, Receiver { pipe })
}

impl<T> Inner<T> {
    /// When it arrives, if that is later and nothing arrives then already.
    fn push(&mut self, now: Instant, at: Instant, got: Got<T>) -> Option<Instant> {
        if self.ended || self.mute || self.deaf {
            return None;
        }
        self.ended = matches!(got, Got::End);
        let before = self.chunks.back().map(|(at, _)| *at);
        self.last = self.last.max(at);
        self.chunks.push_back((self.last, got));
        if self.last <= now {
            self.wake();
            return None;
        }
        (before != Some(self.last)).then_some(self.last)
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl<T> Pipe<T> {
    fn with<R>(&self, f: impl FnOnce(&mut Inner<T>) -> R) -> R {
        f(&mut self.inner.lock().expect("no panic inside a pipe"))
    }
}

impl<T: Send + 'static> Sender<T> {
    /// Never blocks and never fails: a sender learns of the far end's death from its own reading side, as with TCP.
    pub fn send(&self, chunk: T) {
        self.push(Got::Chunk(chunk));
    }

    pub fn close(&self) {
        self.push(Got::End);
    }

    fn push(&self, got: Got<T>) {
        let (now, delay) = (Instant::now(), self.net.delay(self.pipe.from, self.pipe.to));
        if let Some(at) = self.pipe.with(|inner| inner.push(now, now + delay, got)) {
            self.net.with(|state| state.arrivals.expect(at, self.pipe.clone()));
        }
    }
}

impl<T: Send + 'static> Drop for Sender<T> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T: Send + 'static> Receiver<T> {
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Got<T>> {
        self.pipe.with(|inner| {
            if inner.broken {
                return Poll::Ready(Got::End);
            }
            let arrived = |(at, _): &(Instant, Got<T>)| *at <= Instant::now();
            if inner.cut || !inner.chunks.front().is_some_and(arrived) {
                // The network's clock wakes whoever waits.
                match &mut inner.reader {
                    Some(reader) => reader.clone_from(cx.waker()),
                    None => inner.reader = Some(cx.waker().clone()),
                }
                return Poll::Pending;
            }
            match inner.chunks.front() {
                // Whoever asks again hears it again.
                Some((_, Got::End)) | None => Poll::Ready(Got::End),
                Some(_) => inner.chunks.pop_front().map_or(Poll::Pending, |(_, got)| Poll::Ready(got)),
            }
        })
    }

    /// `None` when nothing follows.
    pub async fn recv(&mut self) -> Option<T> {
        match std::future::poll_fn(|cx| self.poll_recv(cx)).await {
            Got::Chunk(chunk) => Some(chunk),
            Got::End => None,
        }
    }
}

impl<T: Send + 'static> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.pipe.with(|inner| {
            inner.deaf = true;
            inner.chunks.clear();
        });
    }
}

impl<T: Send + 'static> Control for Pipe<T> {
    fn ends(&self) -> (Host, Host) {
        (self.from, self.to)
    }

    fn cut(&self, cut: bool, earliest: Instant) {
        self.with(|inner| {
            inner.cut = cut;
            if !cut {
                inner.chunks.iter_mut().for_each(|(at, _)| *at = (*at).max(earliest));
                inner.last = inner.last.max(earliest);
            }
            inner.wake();
        });
    }

    fn source_died(&self, death: Death, drop_held: bool) {
        self.with(|inner| {
            if drop_held {
                let ended = inner.ended;
                inner.chunks.clear();
                inner.ended = false;
                if ended && death == Death::Process {
                    let now = Instant::now();
                    inner.push(now, now, Got::End);
                }
            }
            inner.mute = death == Death::Machine;
        });
    }

    fn reset(&self) {
        self.with(|inner| {
            inner.chunks.clear();
            (inner.ended, inner.broken) = (true, true);
            inner.wake();
        });
    }

    fn wake(&self) {
        self.with(Inner::wake);
    }
}
