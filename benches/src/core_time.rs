//! The time that this thread had a core, for criterion: on a machine that others use too, wall time measures them.
//!
//! Linux says it in `/proc/thread-self/schedstat`, in nanoseconds, brought up to date at each tick (1 to 4 ms): right
//! for what takes tens of milliseconds.

use std::{fs, time::Duration};

use criterion::measurement::{Measurement, ValueFormatter, WallTime};

pub struct CoreTime;

/// Both are written as times.
static WALL_TIME: WallTime = WallTime;

fn now() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with scheduler statistics");
    let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.expect("nanoseconds on a core come first"))
}

impl Measurement for CoreTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        now()
    }

    fn end(&self, began: Duration) -> Duration {
        now().saturating_sub(began).max(Duration::from_nanos(1))
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WALL_TIME.formatter()
    }
}
