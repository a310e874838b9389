//! When what is under way arrives: one timer for the whole network.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::{Duration, Instant, Sleep, sleep_until};

use super::{Control, Net};

/// Nothing is under way.
const FAR: Duration = Duration::from_hours(1);

pub(super) struct Arrivals {
    due: BTreeMap<Instant, Vec<Arc<dyn Control>>>,
    /// Set to the first of `due`; whoever polls it is woken then, also when it was set anew in between.
    timer: Pin<Box<Sleep>>,
}

impl Arrivals {
    pub(super) fn new() -> Arrivals {
        Arrivals { due: BTreeMap::new(), timer: Box::pin(sleep_until(Instant::now() + FAR)) }
    }

    /// Something arrives on this connection then.
    pub(super) fn expect(&mut self, at: Instant, pipe: Arc<dyn Control>) {
        self.due.entry(at).or_default().push(pipe);
        if at < self.timer.deadline() {
            self.timer.as_mut().reset(at);
        }
    }

    /// On whose connections something has arrived.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Vec<Arc<dyn Control>>> {
        loop {
            let now = Instant::now();
            let next = match self.due.first_entry() {
                Some(first) if *first.key() <= now => return Poll::Ready(first.remove()),
                Some(first) => *first.key(),
                None => now + FAR,
            };
            if self.timer.deadline() != next {
                self.timer.as_mut().reset(next);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Net {
    pub(super) async fn run_clock(self) {
        loop {
            let arrived = poll_fn(|cx| self.with(|state| state.arrivals.poll(cx))).await;
            for pipe in arrived {
                pipe.wake();
            }
        }
    }
}
