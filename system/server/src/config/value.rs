//! Reading one value of a setting. Each function answers with the end of a sentence that begins with the value.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use axum::http::uri::Authority;

pub(super) fn number<N: FromStr + PartialOrd + std::fmt::Display>(
    text: &str,
    range: &RangeInclusive<N>,
) -> Result<N, String> {
    let wrong = || format!("{text:?} is not a number from {} to {}", range.start(), range.end());
    text.parse().ok().filter(|n| range.contains(n)).ok_or_else(wrong)
}

/// `250ms`, `25s`, `10m`, `1h`.
pub(super) fn duration(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("{text:?} is not a time (like 250ms, 25s, 10m or 1h)")),
    };
    let time = count.parse::<u64>().ok().and_then(|n| n.checked_mul(millis)).map(Duration::from_millis);
    let outside = || format!("{text:?} is not a time from {:?} to {:?}", range.start(), range.end());
    time.filter(|t| range.contains(t)).ok_or_else(outside)
}

/// Comma separated; neither the list nor an entry may be empty.
pub(super) fn list<T>(text: &str, entry: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',')
        .map(str::trim)
        .map(|e| if e.is_empty() { Err(format!("{text:?} has an empty entry")) } else { entry(e) })
        .collect()
}

/// A URL as it may be shown: what stands before the host may be a secret.
pub(super) fn without_user(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, rest)| rest)
}

/// As [`duration`] reads it, in the largest unit that it is a whole number of.
pub(super) fn written(time: Duration) -> String {
    let millis = time.as_millis();
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let unit = units.into_iter().find(|(_, length)| millis.is_multiple_of(*length));
    unit.map_or_else(String::new, |(unit, length)| format!("{}{unit}", millis / length))
}

/// Whether it has a host, and a port only if it is one.
pub(crate) fn is_place(authority: &Authority) -> bool {
    let (host, place) = (authority.host(), without_user(authority.as_str()));
    !host.is_empty() && (place.len() == host.len() || authority.port_u16().is_some())
}

/// One of a few words.
pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let names = || choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let found = choices.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| format!("{text:?} is none of {}", names()))
}

/// The content of a file without its last line break. The content itself is never part of an error.
pub(super) fn file(path: &str) -> Result<Vec<u8>, String> {
    let mut content = std::fs::read(path).map_err(|error| format!("{path:?} cannot be read: {error}"))?;
    while content.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
        content.pop();
    }
    if content.is_empty() { Err(format!("{path:?} is empty")) } else { Ok(content) }
}

/// One address, or a network by its first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    pub fn contains(&self, other: IpAddr) -> bool {
        let shift = |width: u8| u32::from(width - self.bits);
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(shift(32)).is_none_or(|rest| rest == 0)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(shift(128)).is_none_or(|rest| rest == 0)
            }
            _ => false,
        }
    }

    pub(super) fn parse(text: &str) -> Result<Network, String> {
        let wrong = || format!("{text:?} is not an address or a network (like 10.0.0.0/8)");
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), |b| number(b, &(0..=width)).map_err(|_| wrong()))?;
        Ok(Network { address, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_a_range() {
        let range = Duration::from_secs(1)..=Duration::from_hours(1);
        for (text, seconds) in [("1s", 1), ("1000ms", 1), ("10m", 600), ("1h", 3600)] {
            assert_eq!(duration(text, &range), Ok(Duration::from_secs(seconds)));
        }
        for (text, millis) in [("1h", 3_600_000), ("90m", 5_400_000), ("25s", 25_000), ("250ms", 250)] {
            assert_eq!(written(Duration::from_millis(millis)), text);
        }
        for bad in ["", "s", "10", "-1s", "1 s", "1.5s", "999ms", "2h", "99999999999999999999s"] {
            assert!(duration(bad, &range).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_network_holds_what_shares_its_first_bits() {
        let holds = |network: &str, address: &str| Network::parse(network).unwrap().contains(address.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.1.2.3") && holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!holds("10.0.0.0/8", "11.0.0.0") && !holds("10.0.0.0/8", "::1"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && holds("::/0", "::1") && holds("::1", "::1"));
        assert!(!holds("127.0.0.1", "127.0.0.2"));
        for bad in ["", "a", "1.2.3.4/33", "::/129", "1.2.3.4/"] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_stays_out_of_the_sentence_about_its_file() {
        assert!(file("/no/such/file").unwrap_err().contains("/no/such/file"));
    }
}
