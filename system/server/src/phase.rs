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
pub(crate) struct Follower(watch::Receiver<Phase>);

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

    pub(crate) fn follow(&self) -> Follower {
        Follower(self.0.subscribe())
    }
}

impl Follower {
    /// The next phase that was not seen yet.
    pub(crate) async fn next(&mut self) -> Phase {
        if self.0.changed().await.is_err() {
            return Phase::Closing;
        }
        *self.0.borrow_and_update()
    }
}
