//! The one monotonic clock of a run, with an anchor in Unix time for spans.

use std::{
    fmt,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// Microseconds since the run began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct At(pub u64);

impl At {
    pub const fn from_millis(ms: u64) -> At {
        At(ms * 1000)
    }

    /// Zero when `earlier` is later.
    pub fn since(self, earlier: At) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    pub fn plus(self, span: Duration) -> At {
        At(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }

    pub fn elapsed(self) -> Duration {
        Duration::from_micros(self.0)
    }
}

/// Seconds with three decimals, as reports show them: `12.345 s`.
impl fmt::Display for At {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{:03} s", self.0 / 1_000_000, self.0 / 1000 % 1000)
    }
}

/// Cheap to copy; all copies agree. Wall-clock steps during a run do not move it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
    began_unix_ns: u64,
}

impl Clock {
    /// The run begins now.
    pub fn start() -> Clock {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock::anchored(Instant::now(), u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX))
    }

    /// A clock whose zero is `began`, which was `began_unix_ns` in Unix time.
    pub fn anchored(began: Instant, began_unix_ns: u64) -> Clock {
        Clock { began, began_unix_ns }
    }

    pub fn now(&self) -> At {
        self.at(Instant::now())
    }

    /// What was before the run began is at zero.
    pub fn at(&self, instant: Instant) -> At {
        At::default().plus(instant.saturating_duration_since(self.began))
    }

    pub fn instant(&self, at: At) -> Instant {
        self.began + at.elapsed()
    }

    /// Unix time in nanoseconds, as spans have it.
    pub fn unix_ns(&self, at: At) -> u64 {
        self.began_unix_ns.saturating_add(at.0.saturating_mul(1000))
    }

    /// The inverse of [`unix_ns`](Clock::unix_ns); what was before the run began is at zero.
    pub fn from_unix_ns(&self, unix_ns: u64) -> At {
        At(unix_ns.saturating_sub(self.began_unix_ns) / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_go_there_and_back() {
        let clock = Clock::anchored(Instant::now(), 1_700_000_000_000_000_000);
        let at = At::from_millis(1234);
        assert_eq!(clock.at(clock.instant(at)), at);
        assert_eq!(clock.unix_ns(at), 1_700_000_001_234_000_000);
        assert_eq!(clock.from_unix_ns(clock.unix_ns(at)), at);
        assert_eq!(at.to_string(), "1.234 s");
    }

    #[test]
    fn what_was_before_the_run_is_at_its_beginning() {
        let clock = Clock::anchored(Instant::now() + Duration::from_secs(5), 1_000_000);
        assert_eq!(clock.now(), At(0));
        assert_eq!(clock.from_unix_ns(5), At(0));
    }
}
