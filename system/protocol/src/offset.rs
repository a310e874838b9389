//! A place in a room's order.
//!
//! It is the id of a Redis stream entry (`<ms>-<seq>`) in a form whose byte order is the stream's order, so that a
//! client that knows nothing of Redis can compare two of them as strings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// 20 lowercase hexadecimal digits on the wire: 12 of milliseconds, 8 of sequence.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Offset {
    ms: u64,
    seq: u64,
}

/// Why a text is no offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OffsetError {
    #[error("must be 20 lowercase hexadecimal digits")]
    Text,
    #[error("stream id {0:?} is not <ms>-<seq> with 48 and 32 bits")]
    StreamId(String),
}

impl Offset {
    /// The largest milliseconds: 48 bits, the year 10889.
    pub const MAX_MS: u64 = (1 << 48) - 1;
    /// The largest sequence within one millisecond: 32 bits.
    pub const MAX_SEQ: u64 = (1 << 32) - 1;
    /// Before every entry; never a valid place to resume from (a room's first entry comes after it).
    pub const ZERO: Offset = Offset { ms: 0, seq: 0 };
    /// After every entry.
    pub const MAX: Offset = Offset { ms: Offset::MAX_MS, seq: Offset::MAX_SEQ };

    /// `None` when a part does not fit its digits.
    pub const fn new(ms: u64, seq: u64) -> Option<Offset> {
        if ms <= Offset::MAX_MS && seq <= Offset::MAX_SEQ { Some(Offset { ms, seq }) } else { None }
    }

    /// Unix milliseconds when the entry was stored; the message's `timestamp`.
    pub const fn ms(self) -> u64 {
        self.ms
    }

    pub const fn seq(self) -> u64 {
        self.seq
    }

    /// The same place as Redis names it: `<ms>-<seq>`, decimal.
    pub fn stream_id(self) -> String {
        format!("{}-{}", self.ms, self.seq)
    }

    pub fn from_stream_id(id: &str) -> Result<Offset, OffsetError> {
        let parts = || {
            let (ms, seq) = id.split_once('-')?;
            Offset::new(decimal(ms)?, decimal(seq)?)
        };
        parts().ok_or_else(|| OffsetError::StreamId(id.to_owned()))
    }

    /// By hand, because every message is written with two: `fmt` takes three times as many instructions.
    fn digits(self) -> [u8; 20] {
        let mut digits = [0; 20];
        let mut rest = self.as_u128();
        for digit in digits.iter_mut().rev() {
            *digit = b"0123456789abcdef"[(rest & 0xf) as usize];
            rest >>= 4;
        }
        digits
    }

    /// The digits as a number, in the same order: 80 bits.
    pub const fn as_u128(self) -> u128 {
        (self.ms as u128) << 32 | self.seq as u128
    }
}

/// `u64::from_str` would take a plus sign.
fn decimal(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl fmt::Display for Offset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(std::str::from_utf8(&self.digits()).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Offset {
    type Err = OffsetError;

    /// Uppercase is refused: it would break the byte order that clients compare by.
    fn from_str(text: &str) -> Result<Offset, OffsetError> {
        if text.len() != 20 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(OffsetError::Text);
        }
        let hex = |digits: &str| u64::from_str_radix(digits, 16).map_err(|_| OffsetError::Text);
        Ok(Offset { ms: hex(&text[..12])?, seq: hex(&text[12..])? })
    }
}

impl Serialize for Offset {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(std::str::from_utf8(&self.digits()).map_err(ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_written_as_twelve_and_eight_digits() {
        let offset = Offset::new(0x0123_4567_89ab, 0xcd).unwrap();
        assert_eq!(offset.to_string(), "0123456789ab000000cd");
        assert_eq!(offset.stream_id(), "1250999896491-205");
        assert_eq!(serde_json::to_string(&offset).unwrap(), r#""0123456789ab000000cd""#);
        assert_eq!(Offset::MAX.to_string(), "f".repeat(20));
    }

    #[test]
    fn a_text_that_is_not_one_is_refused() {
        for bad in [
            "",
            "0",
            "0123456789AB000000cd",
            "0123456789ab000000c",
            "0123456789ab000000cd0",
            "+123456789ab000000cd",
            "0123456789ab 00000cd",
            "ä123456789ab000000c",
        ] {
            assert_eq!(bad.parse::<Offset>(), Err(OffsetError::Text), "{bad}");
        }
    }

    #[test]
    fn a_stream_id_that_does_not_fit_is_refused() {
        for bad in ["", "1", "1-", "-1", "1-4294967296", "281474976710656-0", "+1-0", "1-0-0", "1- 0"] {
            assert!(Offset::from_stream_id(bad).is_err(), "{bad}");
        }
    }

    fn any_offset() -> impl Strategy<Value = Offset> {
        (0..=Offset::MAX_MS, 0..=Offset::MAX_SEQ).prop_map(|(ms, seq)| Offset::new(ms, seq).unwrap())
    }

    proptest! {
        #[test]
        fn both_forms_come_back_the_same(offset in any_offset()) {
            prop_assert_eq!(offset.to_string().parse::<Offset>().unwrap(), offset);
            prop_assert_eq!(Offset::from_stream_id(&offset.stream_id()).unwrap(), offset);
        }

        #[test]
        fn byte_order_is_the_rooms_order(ms in 0..4u64, a in any_offset(), b in any_offset(), low in any::<bool>()) {
            let near = |o: Offset| if low { Offset::new(ms, o.seq()).unwrap() } else { o };
            let (a, b) = (near(a), near(b));
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
            prop_assert_eq!(a.as_u128().cmp(&b.as_u128()), a.cmp(&b));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = text.parse::<Offset>();
            let _ = Offset::from_stream_id(&text);
        }
    }
}
