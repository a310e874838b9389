//! Redis 7.0 from the distribution's packages, without root: downloaded and unpacked, never installed.

use std::{
    env::consts::ARCH,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{cache::Inside, run};

const SERVER: &str = "redis-server";
/// What the server links that a minimal system may lack. Names differ between releases, so a missing one is no error by
/// itself: the server shows whether it runs.
const LIBRARIES: [&str; 7] =
    ["redis-tools", "liblua5.1-0", "libjemalloc2", "liblzf1", "lua-cjson", "lua-bitop", "libatomic1"];

/// `redis-server` is a relative link to `redis-check-rdb`, which tells what it is by the name it was started by.
pub(super) fn inside(folder: &Path) -> Inside {
    let usr = folder.join("usr");
    Inside { program: usr.join("bin").join(SERVER), libraries: Some(usr.join("lib").join(triple())) }
}

fn triple() -> String {
    format!("{ARCH}-linux-gnu")
}

pub(super) fn fetch(into: &Path) -> Result<(), String> {
    let packages = into.join("packages");
    fs::create_dir(&packages).map_err(|error| format!("{}: {error}", packages.display()))?;
    download(SERVER, &packages)?;
    for library in LIBRARIES {
        let _ = download(library, &packages);
    }
    for package in debs(&packages)? {
        run::output(Command::new("dpkg").arg("-x").arg(package).arg(into))?;
    }
    fs::remove_dir_all(&packages).map_err(|error| format!("{}: {error}", packages.display()))
}

/// apt checks the signed lists' hashes by itself.
fn download(package: &str, into: &Path) -> Result<String, String> {
    run::output(Command::new("apt-get").args(["--quiet", "download", package]).current_dir(into))
}

fn debs(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let files = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut debs: Vec<PathBuf> = files.flatten().map(|entry| entry.path()).collect();
    debs.retain(|path| path.extension().is_some_and(|end| end == "deb"));
    debs.sort();
    Ok(debs)
}
