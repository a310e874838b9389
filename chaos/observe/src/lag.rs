//! The harness's own lag: a ticker that should fire every 10 ms and says how late it did.
//!
//! A late ticker means that the runtime's threads were busy or the machine was, so users' times are too long by as
//! much; past 100 ms no budget can be judged (drills.md).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

const EVERY: Duration = Duration::from_millis(10);

/// Ticks until it is dropped.
#[derive(Debug)]
pub struct Lag {
    worst_us: Arc<AtomicU64>,
    since_taken_us: Arc<AtomicU64>,
    _ticker: JoinSet<()>,
}

impl Lag {
    /// Must be called on the runtime that the users live on.
    pub fn start() -> Lag {
        let (worst_us, since_taken_us) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let mut ticker = JoinSet::new();
        ticker.spawn(tick(Arc::clone(&worst_us), Arc::clone(&since_taken_us)));
        Lag { worst_us, since_taken_us, _ticker: ticker }
    }

    /// Since the start.
    pub fn worst(&self) -> Duration {
        Duration::from_micros(self.worst_us.load(Relaxed))
    }

    /// Since this was last called.
    pub fn take_worst(&self) -> Duration {
        Duration::from_micros(self.since_taken_us.swap(0, Relaxed))
    }

    /// Forgets what was so far: booting a cluster on the same machine is no measurement.
    pub fn reset(&self) {
        self.worst_us.store(0, Relaxed);
        self.since_taken_us.store(0, Relaxed);
    }
}

async fn tick(worst: Arc<AtomicU64>, since_taken: Arc<AtomicU64>) {
    loop {
        let due = Instant::now() + EVERY;
        sleep_until(due).await;
        let late = due.elapsed().as_micros() as u64;
        worst.fetch_max(late, Relaxed);
        since_taken.fetch_max(late, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_blocked_runtime_is_seen_as_lag() {
        let lag = Lag::start();
        tokio::time::sleep(Duration::from_millis(15)).await;
        lag.reset();
        std::thread::sleep(Duration::from_millis(60));
        tokio::time::sleep(Duration::from_millis(15)).await;
        assert!(lag.worst() >= Duration::from_millis(40), "{:?}", lag.worst());
        assert_eq!(lag.take_worst(), lag.worst());
        assert!(lag.take_worst() < Duration::from_millis(40));
    }
}
