//! Natural batching: whoever gets a frame is written to a moment later, once, with everything that came until then.
//!
//! The moment is one turn of the runtime: what is ready to run runs first. At low rates that is no time at all, and
//! answers leave before the fan-out; under load it is as long as the work that piled up, and one write carries it all.
//! A paced batch waits longer when it must: what comes after silence leaves at once, and what follows within the pace
//! leaves together at its end.
//!
//! Who gets what is settled when a frame is pushed, so that nothing has to be flushed when somebody joins or leaves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Connection;

/// So many writes, and then others run.
const TURN: usize = 64;
/// So many connections are fetched from memory together: about what a core waits for at once.
const FETCHED: usize = 16;

/// Connections that have something to be written. Pushes through one batch are written by one task at a time; a server
/// has as many as it wants tasks in parallel, and a room always uses the same.
#[derive(Default)]
pub struct Batch {
    state: Mutex<State>,
    pace: Duration,
}

#[derive(Default)]
struct State {
    waiting: Vec<Arc<Connection>>,
    /// A task is about to look.
    armed: bool,
    /// When the last ones were written to.
    last: Option<Instant>,
}

impl Batch {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// One that writes at most once per `pace`. Its messages wait so long at most, and tokio's timer adds up to a
    /// millisecond.
    pub fn paced(pace: Duration) -> Arc<Self> {
        Arc::new(Batch { state: Mutex::default(), pace })
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
            if let Some(next) = self.next() {
                tokio::time::sleep_until(next).await;
            }
            let connections = {
                let mut state = self.lock();
                state.armed = !state.waiting.is_empty();
                if !state.armed {
                    return;
                }
                if !self.pace.is_zero() {
                    state.last = Some(Instant::now());
                }
                std::mem::take(&mut state.waiting)
            };
            for (nth, turn) in connections.chunks(TURN).enumerate() {
                if nth > 0 {
                    tokio::task::yield_now().await;
                }
                for near in turn.chunks(FETCHED) {
                    for connection in near {
                        connection.fetch();
                    }
                    for connection in near {
                        connection.fetch_stream();
                    }
                    for connection in near {
                        connection.flush();
                    }
                }
            }
        }
    }

    /// Until when somebody has to wait, if anybody does.
    fn next(&self) -> Option<Instant> {
        let state = self.lock();
        let next = state.last? + self.pace;
        (!state.waiting.is_empty() && next > Instant::now()).then_some(next)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
