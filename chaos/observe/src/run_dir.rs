//! Where a run is kept: `<root>/<drill>/<time>/`, with `latest` beside it, and the oldest taken away.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::scrub::Scrubber;

/// Runs of one drill that are kept: one of the shipped drills leaves 70 MB.
const KEPT: usize = 5;
const LATEST: &str = "latest";
/// In a run that was judged.
const QUESTION: &str = "question.json";

/// The files of one run, each by its name in drills.md.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
    scrubber: Scrubber,
}

#[derive(Debug, thiserror::Error)]
#[error("run directory {}: {source}", path.display())]
pub struct RunDirError {
    pub path: PathBuf,
    pub source: io::Error,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> RunDirError + '_ {
    |source| RunDirError { path: path.to_owned(), source }
}

impl RunDir {
    /// Makes the directory of a run that begins now, points `latest` to it, and removes all but the newest few.
    /// `secrets` are taken out of whatever is written through [`write`](RunDir::write).
    pub fn create(root: &Path, drill: &str, secrets: Vec<String>) -> Result<RunDir, RunDirError> {
        let of_drill = root.join(drill);
        fs::create_dir_all(&of_drill).map_err(at(&of_drill))?;
        let path = new_folder(&of_drill).map_err(at(&of_drill))?;
        for folder in ["metrics", "logs"] {
            fs::create_dir(path.join(folder)).map_err(at(&path))?;
        }
        point(&of_drill, &path).map_err(at(&of_drill))?;
        prune(&of_drill).map_err(at(&of_drill))?;
        Ok(RunDir { path, scrubber: Scrubber::new(secrets) })
    }

    /// A stored run. `latest` may be part of the path.
    pub fn open(path: &Path) -> Result<RunDir, RunDirError> {
        let path = fs::canonicalize(path).map_err(at(path))?;
        if !path.is_dir() {
            return Err(at(&path)(io::ErrorKind::NotADirectory.into()));
        }
        Ok(RunDir { path, scrubber: Scrubber::default() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn history(&self) -> PathBuf {
        self.path.join("history.jsonl")
    }

    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    pub fn spans(&self) -> PathBuf {
        self.path.join("spans.jsonl")
    }

    pub fn question(&self) -> PathBuf {
        self.path.join(QUESTION)
    }

    pub fn verdict(&self) -> PathBuf {
        self.path.join("verdict.json")
    }

    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.toml")
    }

    pub fn schedule(&self) -> PathBuf {
        self.path.join("schedule.toml")
    }

    pub fn junit(&self) -> PathBuf {
        self.path.join("junit.xml")
    }

    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics")
    }

    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    pub fn scrub(&self, text: &str) -> String {
        self.scrubber.scrub(text)
    }

    /// Writes a whole file, scrubbed; a reader sees the old file or the new one, never half of it.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, RunDirError> {
        let path = self.path.join(name);
        let half = self.path.join(format!(".{}.half", name.replace('/', "_")));
        let written = fs::write(&half, self.scrub(text)).and_then(|()| fs::rename(&half, &path));
        written.map_err(at(&path))?;
        Ok(path)
    }

    /// Copies a text file into the run, scrubbed; bytes that are not UTF-8 are replaced.
    pub fn copy(&self, from: &Path, name: &str) -> Result<PathBuf, RunDirError> {
        let bytes = fs::read(from).map_err(at(from))?;
        self.write(name, &String::from_utf8_lossy(&bytes))
    }
}

/// Later than all that are there, also when several runs begin within a millisecond.
fn new_folder(of_drill: &Path) -> io::Result<PathBuf> {
    let newest = runs(of_drill)?.pop();
    let mut begins = SystemTime::now();
    loop {
        let path = of_drill.join(stamp(begins));
        if newest.as_ref().is_none_or(|newest| *newest < path) {
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| path),
            }
        }
        begins += Duration::from_millis(1);
    }
}

/// The oldest first. Only what looks like a run of ours.
fn runs(of_drill: &Path) -> io::Result<Vec<PathBuf>> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(of_drill)? {
        let entry = entry?;
        let is_run = entry.file_name().to_string_lossy().starts_with(|c: char| c.is_ascii_digit());
        if is_run && entry.file_type()?.is_dir() {
            runs.push(entry.path());
        }
    }
    runs.sort();
    Ok(runs)
}

fn point(of_drill: &Path, run: &Path) -> io::Result<()> {
    let Some(name) = run.file_name() else { return Ok(()) };
    let half = of_drill.join(format!(".{LATEST}.{}", name.display()));
    symlink(name, &half)?;
    fs::rename(half, of_drill.join(LATEST))
}

/// Runs that were not judged take the place of none that was.
fn prune(of_drill: &Path) -> io::Result<()> {
    let (judged, others): (Vec<_>, Vec<_>) = runs(of_drill)?.into_iter().partition(|run| run.join(QUESTION).exists());
    let mut old = [judged, others].into_iter().flat_map(|mut runs| {
        runs.truncate(runs.len().saturating_sub(KEPT));
        runs
    });
    old.try_for_each(fs::remove_dir_all)
}

/// `2026-11-24T12-16-56.789Z`: sorts by time, and is a file name everywhere.
fn stamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, ms) = (since.as_secs(), since.subsec_millis());
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}-{minute:02}-{second:02}.{ms:03}Z")
}

/// The Gregorian date of a day since 1970, by counting years and months.
fn date(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_dates() {
        let at = |seconds| stamp(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00-00-00.000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00-00-00.000Z");
        assert_eq!(at(1_735_689_599), "2024-12-31T23-59-59.000Z");
    }

    #[test]
    fn latest_is_the_newest_and_few_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let runs: Vec<_> = (0..KEPT + 3).map(|_| RunDir::create(root.path(), "a", Vec::new()).unwrap()).collect();
        let latest = RunDir::open(&root.path().join("a/latest")).unwrap();
        let newest = fs::canonicalize(runs[KEPT + 2].path()).unwrap();
        assert_eq!(latest.path(), newest);
        let kept = runs.iter().filter(|run| run.path().exists()).count();
        assert_eq!(kept, KEPT);
        assert!(!runs[0].path().exists());
    }

    #[test]
    fn who_was_not_judged_takes_the_place_of_none_that_was() {
        let root = tempfile::tempdir().unwrap();
        let run = || RunDir::create(root.path(), "a", Vec::new()).unwrap();
        let judged = run();
        fs::write(judged.question(), "{}").unwrap();
        let others: Vec<_> = (0..KEPT + 2).map(|_| run()).collect();
        assert!(judged.path().exists());
        assert!(!others[1].path().exists() && others[2].path().exists());
        for _ in 0..KEPT {
            fs::write(run().question(), "{}").unwrap();
        }
        run();
        assert!(!judged.path().exists(), "the oldest of those that were judged goes as well");
    }

    #[test]
    fn what_is_written_is_scrubbed() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(root.path(), "a", vec!["hunter2".to_owned()]).unwrap();
        let path = run.write("plan.toml", "url = \"redis://u:hunter2@h\" # hunter2").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "url = \"redis://***@h\" # ***");
        assert_eq!(fs::read_dir(run.path()).unwrap().count(), 3);
    }
}
