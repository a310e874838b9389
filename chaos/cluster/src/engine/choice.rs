//! Which engine is asked for, as a drill file or a test writes it.

use std::{fmt, str::FromStr};

use super::{EngineKind, Version};

/// The oldest that the suite runs on: shard channels and functions.
pub const OLDEST: Version = Version::new(7, 0);

/// `any`, `>=7.2`, or one of the named engines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// 7.0 or later, of either kind.
    #[default]
    Any,
    AtLeast(Version),
    Named(EngineName),
}

/// Engines by name: major and minor are fixed, the patch is whatever the package or image carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EngineName {
    Redis70,
    /// Nobody packs it for fetching: it is found on the machine, or an image.
    Redis72,
    Redis82,
    Valkey81,
    Valkey91,
}

impl EngineName {
    pub const ALL: [EngineName; 5] =
        [EngineName::Redis70, EngineName::Redis72, EngineName::Redis82, EngineName::Valkey81, EngineName::Valkey91];
    /// Those that can be fetched without an engine of containers.
    pub const FETCHED: [EngineName; 4] =
        [EngineName::Redis70, EngineName::Redis82, EngineName::Valkey81, EngineName::Valkey91];

    pub const fn as_str(self) -> &'static str {
        match self {
            EngineName::Redis70 => "redis-7.0",
            EngineName::Redis72 => "redis-7.2",
            EngineName::Redis82 => "redis-8.2",
            EngineName::Valkey81 => "valkey-8.1",
            EngineName::Valkey91 => "valkey-9.1",
        }
    }

    pub const fn kind(self) -> EngineKind {
        match self {
            EngineName::Redis70 | EngineName::Redis72 | EngineName::Redis82 => EngineKind::Redis,
            EngineName::Valkey81 | EngineName::Valkey91 => EngineKind::Valkey,
        }
    }

    pub const fn version(self) -> Version {
        match self {
            EngineName::Redis70 => Version::new(7, 0),
            EngineName::Redis72 => Version::new(7, 2),
            EngineName::Redis82 => Version::new(8, 2),
            EngineName::Valkey81 => Version::new(8, 1),
            EngineName::Valkey91 => Version::new(9, 1),
        }
    }
}

impl EngineChoice {
    /// Whether a server that calls itself so will do.
    pub fn accepts(self, kind: EngineKind, version: Version) -> bool {
        match self {
            EngineChoice::Any => version >= OLDEST,
            EngineChoice::AtLeast(least) => version >= least.max(OLDEST),
            EngineChoice::Named(name) => {
                let wanted = name.version();
                kind == name.kind() && (version.major, version.minor) == (wanted.major, wanted.minor)
            }
        }
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineChoice::Any => out.pad("any"),
            EngineChoice::AtLeast(version) => out.pad(&format!(">={version}")),
            EngineChoice::Named(name) => out.pad(name.as_str()),
        }
    }
}

/// A text that chooses no engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no engine: any, >=7.2, redis-7.0, redis-7.2, redis-8.2, valkey-8.1 or valkey-9.1")]
pub struct UnknownEngine(String);

impl FromStr for EngineChoice {
    type Err = UnknownEngine;

    fn from_str(text: &str) -> Result<EngineChoice, UnknownEngine> {
        let unknown = || UnknownEngine(text.to_owned());
        if text == "any" {
            return Ok(EngineChoice::Any);
        }
        if let Some(version) = text.strip_prefix(">=") {
            return version.trim().parse().map(EngineChoice::AtLeast).map_err(|_| unknown());
        }
        EngineName::ALL.into_iter().find(|name| name.as_str() == text).map(EngineChoice::Named).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_back_as_written() {
        for text in ["any", ">=7.2.0", "redis-7.0", "redis-7.2", "redis-8.2", "valkey-8.1", "valkey-9.1"] {
            assert_eq!(text.parse::<EngineChoice>().expect(text).to_string(), text);
        }
        assert!("valkey-9".parse::<EngineChoice>().is_err());
    }

    #[test]
    fn a_named_engine_is_taken_with_any_patch_but_from_nobody_else() {
        let valkey = EngineChoice::Named(EngineName::Valkey81);
        assert!(valkey.accepts(EngineKind::Valkey, Version { major: 8, minor: 1, patch: 8 }));
        assert!(!valkey.accepts(EngineKind::Redis, Version::new(8, 1)));
        assert!(!valkey.accepts(EngineKind::Valkey, Version::new(8, 0)));
    }

    #[test]
    fn nothing_older_than_the_oldest_is_taken() {
        assert!(!EngineChoice::AtLeast(Version::new(6, 0)).accepts(EngineKind::Redis, Version::new(6, 2)));
        assert!(!EngineChoice::Any.accepts(EngineKind::Redis, Version::new(6, 2)));
    }
}
