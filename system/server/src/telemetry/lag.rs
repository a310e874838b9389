//! How late the runtime is: a timer that measures itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Metrics;

const TICK: Duration = Duration::from_millis(100);

pub(crate) async fn measure_lag(metrics: Arc<Metrics>) {
    loop {
        let due = Instant::now() + TICK;
        tokio::time::sleep_until(due).await;
        metrics.lagged(due.elapsed());
    }
}
