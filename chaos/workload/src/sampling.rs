//! Of which messages spans are kept: chosen by the message's id, so that everyone agrees without asking. Pure.

use chaos_observe::Content;

use crate::FanOut;

/// One message in so many; 1 is all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// `chat.send`, and the traceparent's sampled flag, by which nodes decide.
    pub sends_one_in: u64,
    /// `chat.receive` of every member; a multiple of `sends_one_in`, so a received message's trace has its root.
    pub receives_one_in: u64,
}

impl Sampling {
    pub fn of(load: &FanOut) -> Sampling {
        let one_in = |rate: u64, kept: u32| rate.div_ceil(u64::from(kept.max(1))).max(1);
        let sends_one_in = one_in(u64::from(load.sends_per_second), load.sampling.sends_per_second);
        let receives = one_in(load.deliveries_per_second(), load.sampling.receives_per_second);
        Sampling { sends_one_in, receives_one_in: receives.div_ceil(sends_one_in) * sends_one_in }
    }

    pub fn sends(self, message: &str) -> bool {
        Content::of(message).0.is_multiple_of(self.sends_one_in)
    }

    /// Of messages that are not kept, a receipt is known from the history only.
    pub fn receives(self, message: &str) -> bool {
        Content::of(message).0.is_multiple_of(self.receives_one_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SpanRates;

    #[test]
    fn a_small_load_is_kept_whole() {
        let small = FanOut { rooms: 2, members_per_room: 4, sends_per_second: 100, ..FanOut::default() };
        assert_eq!(Sampling::of(&small), Sampling { sends_one_in: 1, receives_one_in: 1 });
    }

    #[test]
    fn a_larger_load_is_kept_in_part_and_whoever_is_received_was_sent() {
        let sampling = SpanRates { sends_per_second: 150, receives_per_second: 2000 };
        let sampling = Sampling::of(&FanOut { sampling, ..FanOut::default() });
        assert_eq!(sampling, Sampling { sends_one_in: 3, receives_one_in: 6 });
        let ids: Vec<String> = (0..60_000).map(|nth| format!("u{:03}-{nth:06}", nth % 240)).collect();
        let kept = ids.iter().filter(|id| sampling.receives(id)).count();
        assert!((9_000..11_000).contains(&kept), "{kept} of 60000 for one in six");
        assert!(ids.iter().all(|id| !sampling.receives(id) || sampling.sends(id)));
    }
}
