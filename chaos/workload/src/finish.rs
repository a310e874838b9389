//! The end of a load, and its numbers.

use serde::{Deserialize, Serialize};
use tokio::task::JoinError;

use crate::{Counts, Latencies, Load, Sampling, latency::Latency, user::Wish};

/// What a load amounted to. Latencies count from the intended time of the send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub counts: Counts,
    pub acks: Latencies,
    /// To members that stay.
    pub deliveries: Latencies,
    /// Spans were kept of one message in so many: sent, received.
    pub spans_one_in: (u64, u64),
}

impl Load {
    /// Closes all clients and waits for them. Whatever was not acked or delivered by now is counted with the time that
    /// it has been owed for.
    pub async fn finish(mut self) -> Summary {
        self.pause_sends();
        self.errands.shutdown().await;
        let now = self.crowd.now();
        let counts = self.counts();
        let (acks, deliveries) = self.latencies(now);
        for user in self.users.iter().chain(&self.visitors) {
            user.wish(Wish::Close);
        }
        while let Some(ended) = self.tasks.join_next().await {
            resume_panic(ended);
        }
        let Sampling { sends_one_in, receives_one_in } = self.sampling;
        Summary {
            counts,
            acks: acks.summary(),
            deliveries: deliveries.summary(),
            spans_one_in: (sends_one_in, receives_one_in),
        }
    }

    fn latencies(&self, now: u64) -> (Latency, Latency) {
        let (mut acks, mut deliveries) = (Latency::new(), Latency::new());
        for place in &self.crowd.rooms {
            let mut ledger = place.ledger();
            ledger.censor(now);
            acks.absorb(&ledger.acks);
            deliveries.absorb(&ledger.deliveries);
        }
        (acks, deliveries)
    }
}

/// A user that broke recorded less than happened to it; no verdict may rest on that.
fn resume_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}
