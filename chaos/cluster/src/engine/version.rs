//! Versions of servers, and how a server says what it is.

use std::{fmt, str::FromStr};

/// `major.minor.patch`. Valkey continues Redis's numbers (its first was 7.2), so the two compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    pub major: u16,
    pub minor: u16,
    pub patch: u16,
}

impl Version {
    pub const fn new(major: u16, minor: u16) -> Version {
        Version { major, minor, patch: 0 }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version such as 7.2 or 7.2.4")]
pub struct NotAVersion(String);

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Version, NotAVersion> {
        let mut numbers = text.splitn(3, '.').map(str::parse);
        let mut next = || numbers.next().transpose().map_err(|_| NotAVersion(text.to_owned()));
        match (next()?, next()?, next()?) {
            (Some(major), minor, patch) => Ok(Version { major, minor: minor.unwrap_or(0), patch: patch.unwrap_or(0) }),
            _ => Err(NotAVersion(text.to_owned())),
        }
    }
}

/// Whose server it is. Their failovers take different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    Redis,
    Valkey,
}

impl fmt::Display for EngineKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            EngineKind::Redis => "Redis",
            EngineKind::Valkey => "Valkey",
        })
    }
}

/// Reads what `--version` prints: `Redis server v=7.0.15 sha=…` or `Valkey server v=9.1.2 sha=…`. (Over the wire
/// Valkey calls itself Redis 7.2.4; here it does not.)
pub(crate) fn announced(text: &str) -> Option<(EngineKind, Version)> {
    let mut words = text.split_whitespace();
    let kind = match words.next()? {
        "Redis" => EngineKind::Redis,
        "Valkey" => EngineKind::Valkey,
        _ => return None,
    };
    let version = words.find_map(|word| word.strip_prefix("v="))?;
    Some((kind, version.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        let version = |text: &str| text.parse::<Version>().expect(text);
        assert!(version("7.2") > version("7.0.15"));
        assert!(version("10.0") > version("9.1.2"));
        assert_eq!(version("8"), Version::new(8, 0));
        assert!("7.x".parse::<Version>().is_err() && "".parse::<Version>().is_err());
    }

    #[test]
    fn a_server_says_what_it_is() {
        let valkey = "Valkey server v=9.1.2 sha=00000000:0 malloc=libc bits=64 build=1\n";
        assert_eq!(announced(valkey), Some((EngineKind::Valkey, Version { major: 9, minor: 1, patch: 2 })));
        let redis = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1\n";
        assert_eq!(announced(redis), Some((EngineKind::Redis, Version { major: 7, minor: 0, patch: 15 })));
        assert_eq!(announced("GNU coreutils 9.1"), None);
    }
}
