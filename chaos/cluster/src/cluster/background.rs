//! Threads of the cluster's own, for the fault proxy and the watchers: a test's runtime may be busy, blocked, or gone
//! before the cluster is.

use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinError,
};

use crate::ClusterError;

/// A container is made and removed in seconds, also on a busy machine.
const FINISHED: Duration = Duration::from_mins(1);

/// When dropped, also inside another runtime: it waits for [`Work`] and leaves all other tasks where they are.
pub(super) struct Background {
    runtime: Option<Runtime>,
    work: Option<Work>,
    under_way: Mutex<Receiver<()>>,
}

/// What must come to its end once it was begun, whoever still waits for it: a request to an engine that is cut off is
/// carried out all the same, by then unknown to whoever removes things.
#[derive(Clone)]
pub(crate) struct Work {
    handle: Handle,
    /// Nothing is sent: as long as there is a clone, something is under way.
    under_way: Sender<()>,
}

impl Background {
    pub(super) fn start() -> Result<Background, ClusterError> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("links").enable_all().build();
        let runtime = runtime.map_err(|error| ClusterError::Ground(format!("threads for the fault proxy: {error}")))?;
        let (sender, under_way) = channel();
        let work = Work { handle: runtime.handle().clone(), under_way: sender };
        Ok(Background { runtime: Some(runtime), work: Some(work), under_way: Mutex::new(under_way) })
    }

    pub(super) fn handle(&self) -> &Handle {
        self.work().handle()
    }

    pub(super) fn work(&self) -> &Work {
        self.work.as_ref().expect("there until it is dropped")
    }
}

impl Work {
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn spawn<T: Send + 'static, W>(&self, work: W) -> impl Future<Output = Result<T, JoinError>> + use<T, W>
    where
        W: Future<Output = T> + Send + 'static,
    {
        let under_way = self.under_way.clone();
        // All that it holds is gone before it counts as done, and so is what came of it, where nobody waits for that.
        let task = self.handle.spawn(async move { (work.await, under_way) });
        async move { task.await.map(|(done, _)| done) }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.work = None;
        // Nobody sends: it returns when all is done.
        let _ = self.under_way.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(FINISHED);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use tokio::sync::oneshot;

    use super::*;

    const TURNS: usize = 1000;
    /// So slowly that whoever does not wait is past it.
    const SLOWLY: Duration = Duration::from_millis(50);

    struct Held(Arc<AtomicBool>);

    impl Drop for Held {
        fn drop(&mut self) {
            std::thread::sleep(SLOWLY);
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn what_was_begun_ends_before_it_is_gone_with_all_that_it_held() {
        let background = Background::start().expect("threads");
        let [ended, gone, unwanted] = [(); 3].map(|()| Arc::new(AtomicBool::new(false)));
        let (held, made, ends) = (Held(gone.clone()), Held(unwanted.clone()), ended.clone());
        let (begun, begins) = oneshot::channel();
        let waiting = background.work().spawn(async move {
            let _held = held;
            begun.send(()).expect("the test waits");
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            ends.store(true, Ordering::SeqCst);
            made
        });
        begins.await.expect("it begins");
        drop(waiting);
        drop(background);
        assert!(ended.load(Ordering::SeqCst), "it was left where it was");
        assert!(gone.load(Ordering::SeqCst), "what it held was left");
        assert!(unwanted.load(Ordering::SeqCst), "what it made for nobody was left");
    }

    #[tokio::test]
    async fn other_tasks_are_left_where_they_are() {
        let background = Background::start().expect("threads");
        let began = std::time::Instant::now();
        background.handle().spawn(std::future::pending::<()>());
        drop(background);
        assert!(began.elapsed() < FINISHED);
    }
}
