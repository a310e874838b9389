//! Looks at a program: is it a server, and which?

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Engine, run, version};

pub(super) fn probe(program: &Path, library_path: Option<&Path>) -> Result<Engine, String> {
    if !program.is_file() {
        return Err("there is no such file".to_owned());
    }
    let mut command = Command::new(program);
    command.arg("--version");
    if let Some(path) = library_path {
        command.env("LD_LIBRARY_PATH", path);
    }
    let said = run::output(&mut command)?;
    let (kind, version) = version::announced(&said)
        .ok_or_else(|| format!("it is no Redis or Valkey server: --version says {:?}", said.trim()))?;
    Ok(Engine { program: program.to_owned(), kind, version, library_path: library_path.map(Path::to_owned) })
}

/// Servers in the folders of a search path, in its order.
pub(super) fn servers_on(path: &OsString) -> Vec<PathBuf> {
    let folders: Vec<PathBuf> = std::env::split_paths(path).filter(|folder| folder.is_absolute()).collect();
    let names = ["redis-server", "valkey-server"];
    let all = folders.iter().flat_map(|folder| names.map(|name| folder.join(name)));
    all.filter(|program| program.is_file()).collect()
}
