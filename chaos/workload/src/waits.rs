//! Waiting for the load to be in some state, and saying what it was in when it never was.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{Counts, Load, ledger::Ledger};

const LOOK: Duration = Duration::from_millis(20);
/// Without offsets nobody knows whether more is to come: so long a silence must do.
const QUIET_US: u64 = 1_500_000;

/// What never came to be, and how far it got.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {what} after {waited:.1?}: {why}")]
pub struct NotYet {
    pub what: &'static str,
    pub waited: Duration,
    pub why: String,
    pub counts: Counts,
}

impl Load {
    /// Waits until, for `hold` without a break: everyone who stays is joined, messages are acked, and none is older than
    /// `bound` (from its intended time) without its ack or without having reached everyone who stays.
    pub async fn steady(&self, hold: Duration, bound: Duration, within: Duration) -> Result<(), NotYet> {
        let began = Instant::now();
        let mut since: Option<(Instant, Counts)> = None;
        loop {
            let counts = self.counts();
            let why = match (self.unsteady(bound), since) {
                (Some(why), _) => {
                    since = None;
                    why
                }
                (None, None) => {
                    since = Some((Instant::now(), counts));
                    "it only just became so".to_owned()
                }
                (None, Some((from, before))) => {
                    let acked = counts.acked - before.acked;
                    let delivered = counts.credited - before.credited;
                    // Where all come and go, nobody is owed anything.
                    if from.elapsed() >= hold && acked > 0 && (delivered > 0 || counts.owed == 0) {
                        return Ok(());
                    }
                    format!("{acked} acks and {delivered} deliveries in {:.1?}", from.elapsed())
                }
            };
            if began.elapsed() >= within {
                return Err(self.not_yet("steady", began, why));
            }
            sleep(LOOK).await;
        }
    }

    fn unsteady(&self, bound: Duration) -> Option<String> {
        if let Some(why) = self.outside(Ledger::settled) {
            return Some(why);
        }
        if self.began().is_none() {
            return Some("the load has not begun".to_owned());
        }
        let oldest = self.crowd.now().saturating_sub(bound.as_micros() as u64);
        let late = self.crowd.rooms_unless(|ledger| ledger.oldest_open().is_none_or(|due| due >= oldest));
        (!late.is_empty()).then(|| format!("acks or deliveries of {} are later than {bound:.1?}", list(&late)))
    }

    /// Waits until all members are joined and as far as the last ack of their room, and nothing waits for its ack.
    /// Without offsets: until nothing was received for 1.5 s. A hole is not waited for: it will not be filled.
    pub async fn drain(&self, within: Duration) -> Result<(), NotYet> {
        let began = Instant::now();
        while let Some(why) = self.undrained() {
            if began.elapsed() >= within {
                return Err(self.not_yet("drained", began, why));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn undrained(&self) -> Option<String> {
        if let Some(why) = self.outside(Ledger::all_in) {
            return Some(why);
        }
        let waiting = self.crowd.rooms_unless(|ledger| ledger.unresolved() == 0);
        if !waiting.is_empty() {
            return Some(format!("messages in {} wait for their ack", list(&waiting)));
        }
        let behind = if self.crowd.targets.offsets {
            self.crowd.rooms_unless(Ledger::level)
        } else {
            let quiet_since = self.crowd.now().saturating_sub(QUIET_US);
            self.crowd.rooms_unless(|ledger| ledger.oldest_open().is_none() || ledger.last_receipt() < quiet_since)
        };
        (!behind.is_empty()).then(|| format!("members of {} are behind the last ack", list(&behind)))
    }

    fn outside(&self, inside: fn(&Ledger) -> bool) -> Option<String> {
        let outside = self.crowd.rooms_unless(inside);
        let trouble = self.crowd.trouble().map(|trouble| format!(" (last trouble: {trouble})"));
        let not_joined = || format!("members of {} are not joined{}", list(&outside), trouble.unwrap_or_default());
        (!outside.is_empty()).then(not_joined)
    }

    fn not_yet(&self, what: &'static str, began: Instant, why: String) -> NotYet {
        NotYet { what, waited: began.elapsed(), why, counts: self.counts() }
    }
}

fn list(rooms: &[String]) -> String {
    match rooms {
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more rooms", rest.len()),
        [] => "no room".to_owned(),
    }
}
