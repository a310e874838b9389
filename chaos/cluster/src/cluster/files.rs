//! The folder that a cluster keeps its data in, removed at its end; also by the next run, when the end was a SIGKILL.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::ClusterError;

const PREFIX: &str = "holdfast-";
/// Locked as long as the run lives. A folder without it is nobody's to remove: it is kept, or about to be used.
const RUNNING: &str = "running";

pub(super) struct Files {
    folder: TempDir,
    _running: Option<File>,
}

impl Files {
    /// Below `place`, or where temporary files go.
    pub(super) fn make(place: Option<&Path>, keep: bool) -> Result<Files, ClusterError> {
        let place = place.map_or_else(std::env::temp_dir, Path::to_owned);
        let failed = |error: io::Error| {
            ClusterError::Ground(format!("a folder for the data of the cluster, in {}: {error}", place.display()))
        };
        fs::create_dir_all(&place).map_err(failed)?;
        sweep(&place);
        let folder =
            tempfile::Builder::new().prefix(PREFIX).disable_cleanup(keep).tempdir_in(&place).map_err(failed)?;
        let running = if keep { None } else { Some(mark(folder.path()).map_err(failed)?) };
        Ok(Files { folder, _running: running })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Locked before it has its name, so that a sweep never finds it unlocked.
fn mark(folder: &Path) -> io::Result<File> {
    let unnamed = folder.join("marking");
    let file = File::create(&unnamed)?;
    file.try_lock()?;
    fs::rename(unnamed, folder.join(RUNNING))?;
    Ok(file)
}

/// Removes what runs left that did not end by themselves.
fn sweep(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_abandoned(&entry.path().join(RUNNING)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_abandoned(mark: &PathBuf) -> bool {
    File::open(mark).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_is_removed_by_the_next_and_nothing_else() {
        let place = tempfile::tempdir().expect("a folder");
        let live = Files::make(Some(place.path()), false).expect("files");
        let kept = Files::make(Some(place.path()), true).expect("files").path().to_owned();
        let dead = place.path().join("holdfast-dead");
        fs::create_dir(&dead).expect("made");
        File::create(dead.join(RUNNING)).expect("made");
        drop(Files::make(Some(place.path()), false));
        assert!(live.path().exists() && kept.exists(), "a folder in use was removed");
        assert!(!dead.exists(), "what a killed run left is still there");
    }
}
