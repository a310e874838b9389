//! Threads of the cluster's own, for the fault proxy and the watchers: a test's runtime may be busy, blocked, or gone
//! before the cluster is.

use tokio::runtime::{Builder, Handle, Runtime};

use crate::ClusterError;

/// Leaves its tasks where they are when dropped, also inside another runtime.
pub(super) struct Background(Option<Runtime>);

impl Background {
    pub(super) fn start() -> Result<Background, ClusterError> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("links").enable_all().build();
        let runtime = runtime.map_err(|error| ClusterError::Ground(format!("threads for the fault proxy: {error}")))?;
        Ok(Background(Some(runtime)))
    }

    pub(super) fn handle(&self) -> &Handle {
        self.0.as_ref().expect("there until it is dropped").handle()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
