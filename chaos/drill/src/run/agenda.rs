//! When the next step is due: by the clock of the load, by an event of the cluster, or by acks.

use std::time::Duration;

use chaos_observe::{At, Clock};
use chaos_workload::Load;
use tokio::time::{Instant, sleep, sleep_until};

use super::watch::Watch;
use crate::drill::{Event, When};

const LOOK: Duration = Duration::from_millis(10);

/// What a step waits for, with what it is measured from.
pub(crate) struct Due<'r> {
    pub(crate) when: When,
    pub(crate) began: At,
    pub(crate) clock: Clock,
    pub(crate) watch: &'r Watch,
    /// The epoch, promotions and heals when the step before it was done.
    pub(crate) before: Before,
    /// When the event came that it waits for: whoever waits may be interrupted, and begins again.
    pub(crate) happened: &'r mut Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Before {
    pub(crate) epoch: u64,
    pub(crate) promotions: usize,
    pub(crate) heals: usize,
}

impl Due<'_> {
    /// Returns when it is due. `heals` says how many faults were healed so far.
    pub(crate) async fn wait(self, load: &Load, heals: impl Fn() -> usize) {
        match self.when {
            When::At(at) => self.until(self.began.plus(at.get())).await,
            When::AfterAcks(acks) => {
                while load.counts().acked < acks {
                    sleep(LOOK).await;
                }
            }
            When::On { event, then } => {
                let happened = loop {
                    if let Some(happened) = *self.happened {
                        break happened;
                    }
                    if self.has_come(event, heals()) {
                        *self.happened = Some(Instant::now());
                    } else {
                        sleep(LOOK).await;
                    }
                };
                sleep_until(happened + then.get()).await;
            }
        }
    }

    async fn until(&self, at: At) {
        sleep(at.since(self.clock.now())).await;
    }

    fn has_come(&self, event: Event, heals: usize) -> bool {
        match event {
            Event::EpochChange => self.watch.epoch() > self.before.epoch,
            Event::Promotion => self.watch.promoted() > self.before.promotions,
            Event::Healed => heals > self.before.heals,
        }
    }
}
