//! The harness's own lag: a ticker that should fire every 10 ms and says how late it did, and when.
//!
//! A late ticker means that the runtime's threads were busy or the machine was, so what is measured then may be too long
//! or too short by as much. Between late stretches, times are what they say.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{At, Clock};

const EVERY: Duration = Duration::from_millis(10);

/// A stretch in which the harness was late by more than [`LIMIT`](Late::LIMIT). What happened in it was noted at its end,
/// or between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Late {
    /// The last tick before that was in time.
    pub from: At,
    /// The first tick after that was.
    pub to: At,
    /// By how much the latest tick of it was late.
    pub worst_ms: u64,
}

impl Late {
    /// Less does not matter.
    pub const LIMIT: Duration = Duration::from_millis(100);
}

/// Ticks until it is dropped.
#[derive(Debug)]
pub struct Lag {
    seen: Arc<Mutex<Seen>>,
    _ticker: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Seen {
    worst: Duration,
    since_taken: Duration,
    late: Vec<Late>,
    /// The tick before, and whether it was too late.
    last: At,
    was_late: bool,
}

impl Lag {
    /// Must be called on the runtime that the users live on.
    pub fn start(clock: Clock) -> Lag {
        let seen = Arc::new(Mutex::new(Seen { last: clock.now(), ..Seen::default() }));
        let mut ticker = JoinSet::new();
        ticker.spawn(tick(clock, Arc::clone(&seen)));
        Lag { seen, _ticker: ticker }
    }

    /// Since the start.
    pub fn worst(&self) -> Duration {
        seen(&self.seen).worst
    }

    /// Since this was last called.
    pub fn take_worst(&self) -> Duration {
        std::mem::take(&mut seen(&self.seen).since_taken)
    }

    /// When it was late, in order.
    pub fn late(&self) -> Vec<Late> {
        seen(&self.seen).late.clone()
    }

    /// Forgets what was so far: booting a cluster on the same machine is no measurement.
    pub fn reset(&self) {
        let mut seen = seen(&self.seen);
        *seen = Seen { last: seen.last, ..Seen::default() };
    }
}

fn seen(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn tick(clock: Clock, to: Arc<Mutex<Seen>>) {
    loop {
        let due = Instant::now() + EVERY;
        sleep_until(due).await;
        seen(&to).ticked(clock.now(), due.elapsed());
    }
}

impl Seen {
    /// A stretch lasts until the next tick in time: what became ready before that was behind the late one in the queue.
    fn ticked(&mut self, at: At, late_by: Duration) {
        self.worst = self.worst.max(late_by);
        self.since_taken = self.since_taken.max(late_by);
        let is_late = late_by > Late::LIMIT;
        let worst_ms = late_by.as_millis() as u64;
        match self.late.last_mut() {
            Some(last) if self.was_late => {
                last.to = at;
                last.worst_ms = last.worst_ms.max(worst_ms);
            }
            _ if is_late => self.late.push(Late { from: self.last, to: at, worst_ms }),
            _ => {}
        }
        (self.last, self.was_late) = (at, is_late);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_blocked_runtime_is_seen_as_lag() {
        let lag = Lag::start(Clock::start());
        tokio::time::sleep(Duration::from_millis(15)).await;
        lag.reset();
        std::thread::sleep(Duration::from_millis(60));
        tokio::time::sleep(Duration::from_millis(15)).await;
        assert!(lag.worst() >= Duration::from_millis(40), "{:?}", lag.worst());
        assert_eq!(lag.take_worst(), lag.worst());
        assert!(lag.take_worst() < Duration::from_millis(40));
    }

    #[tokio::test]
    async fn it_is_told_when_the_runtime_was_blocked() {
        let clock = Clock::start();
        let lag = Lag::start(clock);
        tokio::time::sleep(Duration::from_millis(15)).await;
        let before = clock.now();
        std::thread::sleep(Duration::from_millis(250));
        let after = clock.now();
        tokio::time::sleep(Duration::from_millis(30)).await;
        let late = lag.late();
        assert!(late.iter().any(|late| late.from <= before && after <= late.to && late.worst_ms >= 200), "{late:?}");
        lag.reset();
        assert_eq!(lag.late(), []);
    }

    #[test]
    fn a_stretch_lasts_from_the_last_tick_in_time_to_the_next() {
        let ms = At::from_millis;
        let mut seen = Seen::default();
        for (at, late_by) in [(10, 0), (120, 100), (241, 111), (352, 101), (367, 5), (380, 3), (500, 110), (510, 0)] {
            seen.ticked(ms(at), Duration::from_millis(late_by));
        }
        let late = |from, to, worst_ms| Late { from: ms(from), to: ms(to), worst_ms };
        assert_eq!(seen.late, [late(120, 367, 111), late(380, 510, 110)]);
        assert_eq!(seen.worst, Duration::from_millis(111));
    }
}
