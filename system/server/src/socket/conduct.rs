//! What one connection may ask for beside the rate of its messages, whatever sessions it has one after the other.
//!
//! A join can be answered with a room's whole history, so joins have a limit of their own: a token bucket. And who asks
//! only for what is refused, over and over, is not listened to for ever.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use system_protocol::{Code, Refusal, limits};
use tokio::time::Instant;

/// How many joins at once, and then every second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JoinRate {
    burst: u32,
    per_second: u32,
}

/// One connection's account.
pub(crate) struct Conduct {
    rate: JoinRate,
    /// When the bucket is full again.
    full_at: Mutex<Instant>,
    /// What was refused in a row, by its weight.
    refused: AtomicU32,
}

/// What a refusal weighs, and what is too much. Who is too fast is told so each time and slows down: a stock client that
/// was offline sends all at once that it was given meanwhile.
const WEIGHT: u32 = 10;
const WEIGHT_OF_HASTE: u32 = 1;
const TOO_MUCH: u32 = WEIGHT * limits::REFUSALS_IN_A_ROW;

impl JoinRate {
    /// Whoever comes back joins all of their rooms at once, and may go on to others right away: hence twice as many.
    pub(crate) fn new(per_second: u32, rooms_per_socket: usize) -> Self {
        JoinRate { burst: u32::try_from(2 * rooms_per_socket).unwrap_or(u32::MAX), per_second }
    }
}

impl Conduct {
    pub(super) fn new(rate: JoinRate) -> Self {
        Conduct { rate, full_at: Mutex::new(Instant::now()), refused: AtomicU32::new(0) }
    }

    /// One more join, if it may be; if not, after how long it may.
    pub(super) fn join(&self, now: Instant) -> Result<(), Refusal> {
        let JoinRate { burst, per_second } = self.rate;
        let one = Duration::from_secs(1) / per_second;
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let then = now.max(*full_at) + one;
        let wait = then.duration_since(now).saturating_sub(one * burst);
        if wait.is_zero() {
            *full_at = then;
            return Ok(());
        }
        Err(Refusal::joins_limited(per_second, wait))
    }

    /// True when that was one too many in a row, once: the connection ends there.
    #[must_use]
    pub(super) fn refused(&self, code: Code) -> bool {
        // Nobody is to blame for what the node cannot do now.
        let ours = matches!(code, Code::Draining | Code::Unavailable | Code::RoomLimit | Code::RoomFull);
        let weight = match code {
            _ if ours => 0,
            Code::RateLimited => WEIGHT_OF_HASTE,
            _ => WEIGHT,
        };
        let before = self.refused.fetch_add(weight, Ordering::Relaxed);
        before < TOO_MUCH && before + weight >= TOO_MUCH
    }

    pub(super) fn taken(&self) {
        let again = |refused| (refused < TOO_MUCH).then_some(0);
        let _ = self.refused.fetch_update(Ordering::Relaxed, Ordering::Relaxed, again);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wait_ms(refused: &Refusal) -> u64 {
        refused.retry_after_ms.expect("when to come back")
    }

    proptest! {
        /// In whole tokens of a thousandth, as nobody would write it.
        #[test]
        fn joins_follow_the_arithmetic_of_a_bucket(
            per_second in 1_u32..9,
            rooms in 1_usize..9,
            gaps in prop::collection::vec(0_u64..700, 1..120),
        ) {
            // So that a token has whole milliseconds.
            let per_second = [1, 2, 4, 5, 8, 10, 20, 25][per_second as usize - 1];
            let burst = 2 * rooms as u64 * 1000;
            let start = Instant::now();
            let conduct = Conduct::new(JoinRate::new(per_second, rooms));
            let (mut now, mut tokens) = (60_000, burst);
            for gap in gaps {
                // Most come at once.
                let gap = gap.saturating_sub(400);
                now += gap;
                tokens = burst.min(tokens + gap * u64::from(per_second));
                let joined = conduct.join(start + Duration::from_millis(now));
                if tokens >= 1000 {
                    tokens -= 1000;
                    prop_assert_eq!(joined, Ok(()));
                } else {
                    let wait = (1000 - tokens).div_ceil(u64::from(per_second));
                    prop_assert_eq!(joined.map_err(|refused| wait_ms(&refused)), Err(wait), "{} tokens", tokens);
                }
            }
        }
    }

    #[test]
    fn only_refusals_in_a_row_and_of_the_clients_own_making_are_too_many() {
        let conduct = Conduct::new(JoinRate::new(1, 50));
        let many = || (1..limits::REFUSALS_IN_A_ROW).any(|_| conduct.refused(Code::NotInRoom));
        assert!(!many());
        conduct.taken();
        assert!(!many() && !conduct.refused(Code::Draining) && !conduct.refused(Code::Unavailable));
        assert!(conduct.refused(Code::NotInRoom));
        // What is still on its way when the connection is closed makes no second one of it.
        assert!(!conduct.refused(Code::NotInRoom));
        conduct.taken();
        assert!(!many() && !conduct.refused(Code::NotInRoom));
    }

    #[test]
    fn haste_weighs_a_tenth_and_is_too_much_in_the_end() {
        let conduct = Conduct::new(JoinRate::new(1, 50));
        let last = 10 * limits::REFUSALS_IN_A_ROW;
        assert!((1..last).all(|_| !conduct.refused(Code::RateLimited)));
        assert!(conduct.refused(Code::RateLimited));
        // Together with others, none of which is exactly the last.
        let conduct = Conduct::new(JoinRate::new(1, 50));
        assert!(!conduct.refused(Code::RateLimited));
        let others = (1..=limits::REFUSALS_IN_A_ROW).find(|_| conduct.refused(Code::NotInRoom));
        assert_eq!(others, Some(limits::REFUSALS_IN_A_ROW));
    }
}
