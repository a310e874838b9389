//! Lengths of time as people write them: `200ms`, `1.5s`, `10m`.
//!
//! In drill files, in stored plans and in every report, so that what was read is what is printed. A field that is a
//! plain `Duration` says `#[serde(with = "length")]`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A length of time with a unit; whole microseconds inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(Duration);

/// Why a text is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no length of time (write 200ms, 1.5s or 10m)")]
pub struct NoLength(String);

const UNITS: [(&str, f64); 5] = [("ms", 1e-3), ("us", 1e-6), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
/// Nothing in a drill lasts longer than a day; this also keeps the arithmetic far from overflow.
const LONGEST_SECONDS: f64 = 86_400.0;

impl Length {
    pub const fn millis(millis: u64) -> Length {
        Length(Duration::from_millis(millis))
    }

    pub const fn secs(secs: u64) -> Length {
        Length(Duration::from_secs(secs))
    }

    pub const fn get(self) -> Duration {
        self.0
    }

    pub const fn as_secs(self) -> f64 {
        self.0.as_secs_f64()
    }
}

impl From<Duration> for Length {
    fn from(duration: Duration) -> Length {
        Length(Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl FromStr for Length {
    type Err = NoLength;

    fn from_str(text: &str) -> Result<Length, NoLength> {
        let wrong = || NoLength(text.to_owned());
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &text[digits.len()..]).ok_or_else(wrong)?;
        let number: f64 = digits.trim().parse().map_err(|_| wrong())?;
        let seconds = number * unit;
        if !(0.0..=LONGEST_SECONDS).contains(&seconds) {
            return Err(wrong());
        }
        Ok(Length(Duration::from_micros((seconds * 1e6).round() as u64)))
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        match micros {
            0 => f.write_str("0s"),
            _ if micros.is_multiple_of(60_000_000) => write!(f, "{}m", micros / 60_000_000),
            _ if micros >= 1_000_000 => write!(f, "{}s", shortest(micros as f64 / 1e6)),
            _ if micros >= 1_000 => write!(f, "{}ms", shortest(micros as f64 / 1e3)),
            _ => write!(f, "{micros}us"),
        }
    }
}

/// At most three decimals, and none that say nothing.
fn shortest(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Length, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

pub fn serialize<S: Serializer>(length: &Duration, to: S) -> Result<S::Ok, S::Error> {
    Length::from(*length).serialize(to)
}

pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    Length::deserialize(from).map(Length::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_printed_as_it_is_read() {
        for text in ["0s", "200ms", "1s", "1.5s", "45s", "10m", "750us", "12.25s"] {
            assert_eq!(text.parse::<Length>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_refused_by_name() {
        for text in ["", "5", "s", "5 parsecs", "-1s", "1e99s", "NaNs", "25h"] {
            let refused = text.parse::<Length>().expect_err(text);
            assert!(refused.to_string().contains(&format!("`{text}`")), "{refused}");
        }
    }
}
