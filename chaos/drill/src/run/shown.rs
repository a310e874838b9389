//! Work with the live line kept up to date.

use tokio::time::{Instant, sleep_until};

/// Does `work`, and meanwhile calls `show` whenever it is `due`; that may have begun before this work did.
pub(crate) async fn shown<T>(due: impl Fn() -> Instant, show: impl Fn(), work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = sleep_until(due()) => show(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use tokio::time::sleep;

    use super::*;

    const EVERY: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn one_short_piece_of_work_after_another_is_shown_too() {
        let (last, times) = (Cell::new(Instant::now()), Cell::new(0));
        let show = || {
            last.set(Instant::now());
            times.set(times.get() + 1);
        };
        for _ in 0..8 {
            shown(|| last.get() + EVERY, show, sleep(EVERY / 2)).await;
        }
        assert!((1..=8).contains(&times.get()), "{}", times.get());
    }
}
