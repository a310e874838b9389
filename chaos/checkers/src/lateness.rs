//! What a measured time is worth when the harness was late meanwhile.
//!
//! What the harness waits for is noted late, never early. So a time may have been shorter, by as long as the harness was
//! late in it: its end was noted late, and so was each step on the way that a user took. It may have been longer only
//! when its beginning was waited for too, and noted late. A time that holds its budget all the same holds it.

use std::{fmt, time::Duration};

use chaos_observe::{At, Late};

use crate::Question;

/// When the harness was late by more than [`Late::LIMIT`].
pub(crate) struct Lateness(Vec<Late>);

/// A time as it was noted, and between what it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Took {
    pub(crate) noted: Duration,
    shortest: Duration,
    longest: Duration,
    /// By how much the harness was late at most; zero when it was not.
    late: Duration,
}

/// A time beside its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Within,
    TooFast,
    TooSlow,
    Never,
    /// It could be either.
    Unsure,
}

impl Lateness {
    pub(crate) fn of(question: &Question) -> Lateness {
        let worst_ms = question.own_lag_ms;
        let untold = question.late.is_empty() && Duration::from_millis(worst_ms) > Late::LIMIT;
        let always = Late { from: At::default(), to: At(u64::MAX), worst_ms };
        Lateness(if untold { vec![always] } else { question.late.clone() })
    }

    /// Since something that the harness did, and noted before it did.
    pub(crate) fn since_done(&self, from: At, to: At) -> Took {
        let meanwhile = || self.0.iter().filter(|late| late.from < to && from < late.to);
        let shorter = meanwhile().map(|late| late.to.min(to).since(late.from.max(from))).sum();
        Took::of(to.since(from), shorter, worst(meanwhile()))
    }

    /// Since something that the harness waited for.
    pub(crate) fn since_seen(&self, from: At, to: At) -> Took {
        let took = self.since_done(from, to);
        let Some(late) = self.0.iter().find(|late| late.from < from && from <= late.to) else { return took };
        Took { longest: to.since(late.from), late: took.late.max(worst([late])), ..took }
    }

    /// A time that says nothing of when it was: any of the late stretches may be in it. Counts from a schedule.
    pub(crate) fn whenever(&self, noted: Duration) -> Took {
        let stretches = self.0.iter().map(|late| late.to.since(late.from));
        Took::of(noted, stretches.fold(Duration::ZERO, Duration::saturating_add), worst(&self.0))
    }
}

fn worst<'l>(late: impl IntoIterator<Item = &'l Late>) -> Duration {
    Duration::from_millis(late.into_iter().map(|late| late.worst_ms).max().unwrap_or_default())
}

impl Took {
    fn of(noted: Duration, shorter: Duration, late: Duration) -> Took {
        Took { noted, shortest: noted.saturating_sub(shorter), longest: noted, late }
    }

    /// `came`: it ended at all; else it is the time that was waited. Parts of a millisecond do not count.
    pub(crate) fn against(self, came: bool, earliest_ms: u64, latest_ms: u64) -> Held {
        let [earliest, latest] = [earliest_ms, latest_ms].map(u128::from);
        let [shortest, longest] = [self.shortest, self.longest].map(|time| time.as_millis());
        match () {
            () if !came && (self.late.is_zero() || shortest > latest) => Held::Never,
            () if !came => Held::Unsure,
            () if shortest > latest => Held::TooSlow,
            () if longest < earliest => Held::TooFast,
            () if shortest < earliest || longest > latest => Held::Unsure,
            () => Held::Within,
        }
    }
}

/// Why it is in doubt: `the harness was late by 156 ms meanwhile, so it may have been 330 to 520 ms`.
impl fmt::Display for Took {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [late, shortest, longest] = [self.late, self.shortest, self.longest].map(|time| time.as_millis());
        write!(out, "the harness was late by {late} ms meanwhile, so it may have been {shortest} to {longest} ms")
    }
}
