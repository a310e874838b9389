//! Tasks that end with the log. Sessions hand them over; a bare spawn would survive the log's own death.

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::source::Soon;

pub(crate) type Spawner = mpsc::UnboundedSender<Soon<'static, ()>>;

/// Runs what is handed over, until it is dropped.
pub(crate) async fn run(mut newcomers: mpsc::UnboundedReceiver<Soon<'static, ()>>) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            newcomer = newcomers.recv() => match newcomer {
                Some(task) => _ = tasks.spawn(task),
                None => return,
            },
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
        }
    }
}
