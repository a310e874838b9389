//! What the kernel did not take at once: a task for as long as a peer is behind, and only then.

use std::sync::Arc;
use std::task::Poll;

use tokio::time::{Instant, sleep_until};

use crate::connection::Connection;

/// Writes on whenever the peer takes something; gives the connection up when it takes nothing for too long.
pub(crate) async fn run(connection: Arc<Connection>) {
    let patience = connection.patience();
    let mut deadline = std::pin::pin!(sleep_until(Instant::now() + patience));
    let drained = std::future::poll_fn(|context| {
        loop {
            let mut progress = false;
            if connection.poll_drain(context, &mut progress).is_ready() {
                return Poll::Ready(true);
            }
            if !progress {
                break;
            }
            deadline.as_mut().reset(Instant::now() + patience);
        }
        deadline.as_mut().poll(context).map(|()| false)
    });
    if !drained.await {
        connection.give_up();
    }
}
