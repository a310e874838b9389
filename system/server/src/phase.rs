//! How far the node's life is: everything that must change its behaviour at the end watches this.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Running,
    /// Nothing new is taken; what is in flight is answered.
    Draining,
    /// Whoever is still here is put out.
    Closing,
}

const PHASES: [Phase; 3] = [Phase::Running, Phase::Draining, Phase::Closing];

/// The one who decides.
#[derive(Debug, Clone)]
pub(crate) struct Life(Arc<Now>);

#[derive(Debug)]
struct Now {
    /// Which of [`PHASES`].
    phase: AtomicU8,
    changed: Notify,
}

/// One of those who follow. Every session has one, so it is small, and what it waits in too.
#[derive(Debug, Clone)]
pub(crate) struct Follower {
    life: Life,
    seen: Phase,
}

impl Life {
    pub(crate) fn new() -> Self {
        Life(Arc::new(Now { phase: AtomicU8::new(Phase::Running as u8), changed: Notify::new() }))
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::Release);
        self.0.changed.notify_waiters();
    }

    pub(crate) fn phase(&self) -> Phase {
        PHASES[usize::from(self.0.phase.load(Ordering::Acquire))]
    }

    /// One who has seen nothing but Running yet.
    pub(crate) fn follow(&self) -> Follower {
        Follower { life: self.clone(), seen: Phase::Running }
    }
}

impl Follower {
    /// Returns at the first phase that was not seen yet.
    pub(crate) async fn next(&mut self) -> Phase {
        loop {
            let changed = self.life.0.changed.notified();
            let phase = self.life.phase();
            if std::mem::replace(&mut self.seen, phase) != phase {
                return phase;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_comes_late_learns_it_too() {
        let life = Life::new();
        life.enter(Phase::Draining);
        let mut follower = life.follow();
        assert_eq!(follower.next().await, Phase::Draining);
        let waiting = tokio::spawn(async move { follower.next().await });
        tokio::task::yield_now().await;
        life.enter(Phase::Closing);
        assert_eq!(waiting.await.unwrap(), Phase::Closing);
    }
}
