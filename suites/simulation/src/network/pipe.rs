//! One direction of one connection: chunks with the time when they arrive, in order.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

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
    timer: Option<Pin<Box<Sleep>>>,
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
    (Sender { pipe: pipe.clone(), net: net.clone() }, Receiver { pipe, timer: None })
}

impl<T> Inner<T> {
    fn push(&mut self, at: Instant, got: Got<T>) {
        if self.ended || self.mute || self.deaf {
            return;
        }
        self.ended = matches!(got, Got::End);
        self.last = self.last.max(at);
        self.chunks.push_back((self.last, got));
        self.wake();
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
        let at = self.net.arrival(self.pipe.from, self.pipe.to);
        self.pipe.with(|inner| inner.push(at, Got::Chunk(chunk)));
    }

    pub fn close(&self) {
        let at = self.net.arrival(self.pipe.from, self.pipe.to);
        self.pipe.with(|inner| inner.push(at, Got::End));
    }
}

impl<T: Send + 'static> Drop for Sender<T> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T: Send + 'static> Receiver<T> {
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Got<T>> {
        loop {
            let due = {
                let mut inner = self.pipe.inner.lock().expect("no panic inside a pipe");
                if inner.broken {
                    return Poll::Ready(Got::End);
                }
                let front = inner.chunks.front().map(|(at, _)| *at).filter(|_| !inner.cut);
                match front {
                    None => {
                        inner.reader = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                    Some(at) if at <= Instant::now() => {
                        let (_, got) = inner.chunks.pop_front().expect("it was there");
                        if matches!(got, Got::End) {
                            // Whoever asks again hears it again.
                            inner.chunks.push_front((at, Got::End));
                        }
                        return Poll::Ready(got);
                    }
                    Some(at) => {
                        inner.reader = Some(cx.waker().clone());
                        at
                    }
                }
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
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

    fn cut(&self, cut: bool, late: Duration) {
        self.with(|inner| {
            inner.cut = cut;
            if !cut {
                let earliest = Instant::now() + late;
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
                    inner.push(Instant::now(), Got::End);
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
}
