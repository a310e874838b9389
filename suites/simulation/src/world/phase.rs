//! What the world wants of its users, and when it changes its mind.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Chat,
    /// No new messages; those under way are sent again until they are acked.
    Drain,
    Stop,
}

/// Not tokio's `watch`, which wakes its receivers in a random order.
#[derive(Clone)]
pub struct Phases {
    now: Arc<Mutex<Phase>>,
    changed: Arc<Notify>,
}

impl Phases {
    pub fn begin() -> Phases {
        Phases { now: Arc::new(Mutex::new(Phase::Chat)), changed: Arc::default() }
    }

    pub fn now(&self) -> Phase {
        *self.now.lock().expect("no panic between phases")
    }

    pub fn set(&self, phase: Phase) {
        *self.now.lock().expect("no panic between phases") = phase;
        self.changed.notify_waiters();
    }

    pub fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }
}
