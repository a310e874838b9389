//! The wish to end a run early: it heals, says why, and exits 4. Asked for by Ctrl-C, by the longest duration, or by
//! whoever embeds a run.

use std::sync::Arc;

use tokio::sync::watch;

/// Clones share one wish; the first reason stays.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<Option<String>>>);

impl Default for Stop {
    fn default() -> Stop {
        Stop(Arc::new(watch::Sender::new(None)))
    }
}

impl Stop {
    pub fn now(&self, why: &str) {
        self.0.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert_with(|| why.to_owned());
            first
        });
    }

    pub fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Waits until someone asks.
    pub async fn asked(&self) -> String {
        let mut reason = self.0.subscribe();
        let asked = reason.wait_for(Option::is_some).await;
        asked.ok().and_then(|reason| reason.clone()).unwrap_or_default()
    }
}
