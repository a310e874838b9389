//! How many messages a socket may submit: arithmetic on instants that are passed in.
//!
//! A sliding window, so that no second of any phase holds more than the limit. A client that repeats an id because
//! the ack did not come is not made to pay for our delay: one repeat per second and id is free.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use system_protocol::{MessageId, Room};
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(1);
/// Ids remembered per socket; at ten messages a second that is at least 100 s, twenty ack timeouts.
const REMEMBERED: usize = 1024;

type Key = (Room, MessageId);

/// One socket's account.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_second: usize,
    charged: VecDeque<Instant>,
    /// When an id that was charged was last repeated for nothing.
    repeats: BTreeMap<Key, Option<Instant>>,
    order: VecDeque<Key>,
}

impl RateLimit {
    pub(crate) fn new(per_second: u32) -> Self {
        RateLimit {
            per_second: per_second as usize,
            charged: VecDeque::new(),
            repeats: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Whether a message may pass; if not, after how long the same one may.
    pub(crate) fn admit(&mut self, now: Instant, message: Option<Key>) -> Result<(), Duration> {
        if message.as_ref().is_some_and(|key| self.repeats_for_nothing(now, key)) {
            return Ok(());
        }
        while self.charged.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            self.charged.pop_front();
        }
        if self.charged.len() >= self.per_second {
            let first = self.charged.front().copied().unwrap_or(now);
            return Err((first + WINDOW).duration_since(now));
        }
        self.charged.push_back(now);
        if let Some(key) = message {
            self.remember(key);
        }
        Ok(())
    }

    fn repeats_for_nothing(&mut self, now: Instant, key: &Key) -> bool {
        let Some(last) = self.repeats.get_mut(key) else { return false };
        if last.is_some_and(|last| now.duration_since(last) < WINDOW) {
            return false;
        }
        *last = Some(now);
        true
    }

    fn remember(&mut self, key: Key) {
        if self.repeats.contains_key(&key) {
            return;
        }
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.repeats.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.repeats.insert(key, None);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn key(name: &str) -> Key {
        (Room::default(), MessageId::parse(name).unwrap())
    }

    #[test]
    fn ten_pass_and_the_eleventh_learns_when_it_may() {
        let (mut limit, start) = (RateLimit::new(10), Instant::now());
        for n in 0..10 {
            assert_eq!(limit.admit(start + ms(n * 10), None), Ok(()));
        }
        assert_eq!(limit.admit(start + ms(100), None), Err(ms(900)));
        assert_eq!(limit.admit(start + ms(999), None), Err(ms(1)));
        assert_eq!(limit.admit(start + ms(1000), None), Ok(()));
        assert_eq!(limit.admit(start + ms(1000), None), Err(ms(10)));
    }

    #[test]
    fn a_repeat_is_free_once_per_second_and_id() {
        let (mut limit, start) = (RateLimit::new(1), Instant::now());
        assert_eq!(limit.admit(start, Some(key("a"))), Ok(()));
        assert_eq!(limit.admit(start + ms(1), Some(key("a"))), Ok(()));
        assert!(limit.admit(start + ms(2), Some(key("a"))).is_err());
        assert_eq!(limit.admit(start + ms(1001), Some(key("a"))), Ok(()));
        assert_eq!(limit.admit(start + ms(1001), Some(key("b"))), Ok(()), "the free repeat took nobody's place");
        assert!(limit.admit(start + ms(1002), Some(key("c"))).is_err());
    }

    #[test]
    fn an_id_that_was_refused_has_no_free_repeat() {
        let (mut limit, start) = (RateLimit::new(1), Instant::now());
        assert_eq!(limit.admit(start, Some(key("a"))), Ok(()));
        assert!(limit.admit(start, Some(key("b"))).is_err());
        assert!(limit.admit(start + ms(1), Some(key("b"))).is_err());
    }

    #[test]
    fn the_same_id_in_another_room_is_another_message() {
        let (mut limit, start) = (RateLimit::new(1), Instant::now());
        assert_eq!(limit.admit(start, Some(key("a"))), Ok(()));
        let elsewhere = Some((Room::parse("other").unwrap(), MessageId::parse("a").unwrap()));
        assert!(limit.admit(start, elsewhere).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let (mut limit, start) = (RateLimit::new(u32::MAX), Instant::now());
        for n in 0..3 * REMEMBERED {
            assert_eq!(limit.admit(start, Some(key(&n.to_string()))), Ok(()));
        }
        assert_eq!((limit.order.len(), limit.repeats.len()), (REMEMBERED, REMEMBERED));
    }

    /// The contract's arithmetic, with everything remembered: at most the limit in any second, a charged id free again
    /// once per second.
    #[derive(Default)]
    struct Reference {
        charged: Vec<(u64, Option<Key>)>,
        free: Vec<(u64, Key)>,
    }

    impl Reference {
        fn admit(&mut self, per_second: usize, now: u64, message: Option<&Key>) -> Result<(), u64> {
            if let Some(key) = message {
                let known = self.charged.iter().any(|(_, charged)| charged.as_ref() == Some(key));
                let lately = self.free.iter().any(|(at, free)| free == key && now - at < 1000);
                if known && !lately {
                    self.free.push((now, key.clone()));
                    return Ok(());
                }
            }
            let mut last_second: Vec<u64> =
                self.charged.iter().map(|(at, _)| *at).filter(|at| now - at < 1000).collect();
            last_second.sort_unstable();
            if last_second.len() >= per_second {
                return Err(last_second[last_second.len() - per_second] + 1000 - now);
            }
            self.charged.push((now, message.cloned()));
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn it_is_the_contracts_arithmetic(
            per_second in 1_usize..12,
            messages in prop::collection::vec((0_u64..400, proptest::option::of((0..2, 0..6))), 1..200),
        ) {
            let (mut limit, mut reference) = (RateLimit::new(per_second as u32), Reference::default());
            let (start, mut now) = (Instant::now(), 0);
            for (gap, message) in messages {
                // Most come at once.
                now += gap.saturating_sub(200);
                let message = message.map(|(room, id)| {
                    (Room::parse(&format!("r{room}")).unwrap(), MessageId::parse(&format!("m{id}")).unwrap())
                });
                let expected = reference.admit(per_second, now, message.as_ref());
                let admitted = limit.admit(start + ms(now), message.clone());
                prop_assert_eq!(admitted, expected.map_err(ms), "at {} ms, {:?}", now, message);
                // And after that long it may pass.
                if let Err(wait) = expected {
                    now += wait;
                    prop_assert_eq!(reference.admit(per_second, now, message.as_ref()), Ok(()));
                    prop_assert_eq!(limit.admit(start + ms(now), message), Ok(()));
                }
            }
        }
    }
}
