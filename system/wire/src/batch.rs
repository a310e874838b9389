//! Natural batching: whoever gets a frame is written to a moment later, once, with everything that came until then.
//!
//! The moment is one turn of the runtime: what is ready to run runs first. At low rates that is no time at all, and
//! answers leave before the fan-out; under load it is as long as the work that piled up, and one write carries it all.
//! Who gets what is settled when a frame is pushed, so that nothing has to be flushed when somebody joins or leaves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::connection::Connection;

/// So many writes, and then others run.
const TURN: usize = 64;

/// Connections that have something to be written. Pushes through one batch are written by one task at a time; a server
/// has as many as it wants tasks in parallel, and a room always uses the same.
#[derive(Default)]
pub struct Batch(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: Vec<Arc<Connection>>,
    /// A task is about to look.
    armed: bool,
}

impl Batch {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Within a tokio runtime.
    pub(crate) fn add(self: &Arc<Self>, connection: Arc<Connection>) {
        let mut state = self.lock();
        state.waiting.push(connection);
        if !std::mem::replace(&mut state.armed, true) {
            tokio::spawn(Arc::clone(self).run());
        }
    }

    async fn run(self: Arc<Self>) {
        loop {
            tokio::task::yield_now().await;
            let connections = {
                let mut state = self.lock();
                state.armed = !state.waiting.is_empty();
                if !state.armed {
                    return;
                }
                std::mem::take(&mut state.waiting)
            };
            for (nth, connection) in connections.iter().enumerate() {
                if nth % TURN == TURN - 1 {
                    tokio::task::yield_now().await;
                }
                connection.flush();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
