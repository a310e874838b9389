//! The `traceparent` of W3C Trace Context (<https://www.w3.org/TR/trace-context/#traceparent-header>), by which one
//! trace follows a message from the sender's intention to the last member's receipt.
//!
//! Ids are passed in: this crate has no randomness.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The flags that version 00 defines: sampled (level 1) and random trace id (level 2). Others are not passed on.
const KNOWN_FLAGS: u8 = 0b11;
const SAMPLED: u8 = 0b01;
/// `vv-<32>-<16>-ff`.
const LENGTH: usize = 55;

/// `00-<trace id, 32 hex>-<parent span id, 16 hex>-<flags, 2 hex>`; neither id is zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a W3C traceparent")]
pub struct TraceParentError;

impl TraceParent {
    /// `None` when an id is zero, which the format forbids.
    pub const fn new(trace_id: u128, span_id: u64, sampled: bool) -> Option<TraceParent> {
        if trace_id == 0 || span_id == 0 {
            return None;
        }
        Some(TraceParent { trace_id, span_id, flags: if sampled { SAMPLED } else { 0 } })
    }

    pub const fn trace_id(self) -> u128 {
        self.trace_id
    }

    /// The span that what follows is a child of.
    pub const fn span_id(self) -> u64 {
        self.span_id
    }

    pub const fn sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same trace with another span as the parent; `None` when that id is zero.
    pub const fn child(self, span_id: u64) -> Option<TraceParent> {
        if span_id == 0 { None } else { Some(TraceParent { span_id, ..self }) }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<TraceParent, TraceParentError> {
        parse(text).ok_or(TraceParentError)
    }
}

/// A later version is read as far as version 00 goes, as the specification asks; `ff` is forbidden.
fn parse(text: &str) -> Option<TraceParent> {
    let bytes = text.as_bytes();
    if bytes.len() < LENGTH || bytes[2] != b'-' || bytes[35] != b'-' || bytes[52] != b'-' {
        return None;
    }
    let version = hex(&bytes[..2])?;
    let complete = match version {
        0 => bytes.len() == LENGTH,
        0xff => false,
        _ => bytes.len() == LENGTH || bytes[LENGTH] == b'-',
    };
    let (trace_id, span_id) = (hex(&bytes[3..35])?, hex(&bytes[36..52])?);
    let flags = hex(&bytes[53..55])?;
    (complete && trace_id != 0 && span_id != 0).then_some(TraceParent {
        trace_id,
        span_id: span_id as u64,
        flags: flags as u8 & KNOWN_FLAGS,
    })
}

/// Lowercase only; at most 32 digits.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// For the field of a message: a malformed one counts as none, and never spoils the message that carries it.
pub(crate) fn lenient<'de, D: Deserializer<'de>>(from: D) -> Result<Option<TraceParent>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(value.as_str().and_then(parse))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let parent: TraceParent = EXAMPLE.parse().unwrap();
        assert_eq!(parent.trace_id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(parent.span_id(), 0x00f0_67aa_0ba9_02b7);
        assert!(parent.sampled());
        assert_eq!(parent.to_string(), EXAMPLE);
    }

    #[test]
    fn a_child_stays_in_the_trace() {
        let child = EXAMPLE.parse::<TraceParent>().unwrap().child(7).unwrap();
        assert_eq!(child.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000007-01");
        assert_eq!(child.child(0), None);
        assert_eq!(TraceParent::new(0, 1, true), None);
    }

    #[test]
    fn malformed_ones_are_refused() {
        for bad in [
            "",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(bad.parse::<TraceParent>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-09-what";
        assert_eq!(later.parse::<TraceParent>().unwrap().to_string(), EXAMPLE);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(trace in 1..=u128::MAX, span in 1..=u64::MAX, sampled in any::<bool>()) {
            let parent = TraceParent::new(trace, span, sampled).unwrap();
            prop_assert_eq!(parent.to_string().parse::<TraceParent>().unwrap(), parent);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), near in "[0-9a-f]{2}-[0-9a-fä]{32}-[0-9a-f]{16}-[0-9a-f]{2}.?") {
            let _ = text.parse::<TraceParent>();
            let _ = near.parse::<TraceParent>();
        }
    }
}
