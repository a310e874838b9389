//! How far the node's life is: everything that must change its behaviour at the end watches this.

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Running,
    /// Nothing new is taken; what is in flight is answered.
    Draining,
    /// Whoever is still here is put out.
    Closing,
}

/// The one who decides.
#[derive(Debug, Clone)]
pub(crate) struct Life(watch::Sender<Phase>);

/// One of those who follow.
#[derive(Debug, Clone)]
pub(crate) struct Follower {
    phase: watch::Receiver<Phase>,
    seen: Phase,
}

impl Life {
    pub(crate) fn new() -> Self {
        Life(watch::Sender::new(Phase::Running))
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.0.send_replace(phase);
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// One who has seen nothing but Running yet.
    pub(crate) fn follow(&self) -> Follower {
        Follower { phase: self.0.subscribe(), seen: Phase::Running }
    }
}

impl Follower {
    /// Returns at the first phase that was not seen yet.
    pub(crate) async fn next(&mut self) -> Phase {
        let seen = self.seen;
        self.seen = self.phase.wait_for(|phase| *phase != seen).await.map_or(Phase::Closing, |phase| *phase);
        if self.seen == seen {
            // The one who decides is gone with the node; there is nothing more to see.
            std::future::pending::<()>().await;
        }
        self.seen
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
        life.enter(Phase::Closing);
        assert_eq!(follower.next().await, Phase::Closing);
    }
}
