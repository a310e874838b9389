//! A full disk under the servers, told by their own logs. Redis refuses writes then (`MISCONF`) and everything else goes
//! on, so that a run would end as slow, or as never steady, without the reason.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::sleep;

/// What the operating system calls it, in every server's log.
const FULL: &str = "No space left on device";
const LOOK: Duration = Duration::from_millis(500);
/// Lines of the log that are shown.
const TAIL: usize = 12;

/// Logs that are read once, as they grow.
pub(crate) struct Disk {
    logs: PathBuf,
    /// Bytes of each that were looked at: up to the end of a line.
    read: BTreeMap<PathBuf, u64>,
}

impl Disk {
    /// `logs`: a folder of `<server>.log`.
    pub(crate) fn under(logs: PathBuf) -> Disk {
        Disk { logs, read: BTreeMap::new() }
    }

    /// Returns when it is full: one sentence with the server, and the end of its log.
    pub(crate) async fn full(&mut self) -> String {
        loop {
            if let Some(why) = self.look() {
                return why;
            }
            sleep(LOOK).await;
        }
    }

    pub(crate) fn look(&mut self) -> Option<String> {
        let mut logs: Vec<_> = std::fs::read_dir(&self.logs).ok()?.flatten().map(|entry| entry.path()).collect();
        logs.sort();
        logs.into_iter().find_map(|log| self.told_by(&log))
    }

    fn told_by(&mut self, log: &Path) -> Option<String> {
        let from = self.read.entry(log.to_owned()).or_default();
        let mut new = Vec::new();
        let mut file = File::open(log).ok()?;
        file.seek(SeekFrom::Start(*from)).ok()?;
        file.read_to_end(&mut new).ok()?;
        let lines = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        *from += lines as u64;
        let text = String::from_utf8_lossy(&new[..lines]);
        let lines: Vec<_> = text.lines().collect();
        let told = lines.iter().position(|line| line.contains(FULL))?;
        let server = log.file_stem().unwrap_or_default().to_string_lossy();
        let tail: Vec<_> = lines[told.saturating_sub(TAIL)..=told].iter().map(|line| format!("\n  {line}")).collect();
        Some(format!("the disk is full: {server} was told {FULL:?}; see {}:{}", log.display(), tail.concat()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_full_disk_is_named_once_with_the_server_and_its_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut disk = Disk::under(folder.path().to_owned());
        assert_eq!(disk.look(), None);
        let mut log = File::create(folder.path().join("redis-3.log")).expect("a log");
        write!(log, "ready\n# Error writing to the AOF file: No space left").expect("written");
        assert_eq!(disk.look(), None, "half a line says nothing yet");
        writeln!(log, " on device\nlater").expect("written");
        let why = disk.look().expect("it is full");
        assert!(why.starts_with("the disk is full: redis-3 ") && why.contains("redis-3.log:"), "{why}");
        assert!(why.ends_with("# Error writing to the AOF file: No space left on device"), "{why}");
        assert_eq!(disk.look(), None, "it was told");
    }
}
