//! Waiting for something named, never for time to pass.

use std::{
    env,
    io::{self, Write},
    time::{Duration, Instant},
};

/// Far beyond what anything here takes, so that only what never comes fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(10);

/// Waits until it is there; that it is not fails the test.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, look).await.unwrap_or_else(|| panic!("{what}: not within {PATIENCE:?}"))
}

/// Waits until it is there, or the time is over.
pub(crate) async fn within<T>(time: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + time;
    loop {
        match look().await {
            None if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
            found => return found,
        }
    }
}

/// A loud word that something was not tested, and why; in CI that is a failure.
pub(crate) fn not_tested(what: &str) {
    let why = format!("NOT TESTED: {what}");
    assert!(env::var("CI").as_deref() != Ok("true"), "{why}");
    // Not captured, unlike what `eprintln!` writes.
    io::stderr().write_all(format!("\n{why}\n\n").as_bytes()).expect("somebody who hears it");
}
