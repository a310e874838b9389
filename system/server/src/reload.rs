//! What is read from files and may change while the node runs: keys of tokens, the listener's certificate.
//!
//! The files are read every second and compared by content, so that it does not matter how they are replaced: written
//! over, renamed, or reached through links that are swapped, as Kubernetes does. A new content counts when it is found
//! twice, so that nobody is caught half-way between two files or two writes; one that cannot be used is told once, and
//! what was there before stays. Deliberately absent: notification by the kernel, which knows nothing of network file
//! systems.

use std::io::Read;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::telemetry::{Metrics, Reload};

const LOOK: Duration = Duration::from_secs(1);
/// Larger is no key and no certificate.
const LARGEST: u64 = 1 << 20;

/// A file as it was read.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) content: Vec<u8>,
}

type Snapshot = Result<Vec<File>, String>;
type Parse<T> = fn(&[File]) -> Result<T, String>;

/// The newest good content of some files, as a value.
pub struct Watched<T> {
    paths: Vec<String>,
    parse: Parse<T>,
    value: RwLock<Arc<T>>,
    first: Vec<File>,
}

impl<T: Send + Sync + 'static> Watched<T> {
    pub(crate) fn read(paths: &[&str], parse: Parse<T>) -> Result<Arc<Self>, String> {
        let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
        let first = snapshot(&paths)?;
        let value = RwLock::new(Arc::new(parse(&first)?));
        Ok(Arc::new(Watched { paths, parse, value, first }))
    }

    /// Read from nowhere.
    #[cfg(test)]
    pub(crate) fn fixed(value: T) -> Arc<Self> {
        let parse = |_: &[File]| Err("no files".to_owned());
        Arc::new(Watched { paths: Vec::new(), parse, value: RwLock::new(Arc::new(value)), first: Vec::new() })
    }

    pub(crate) fn current(&self) -> Arc<T> {
        Arc::clone(&self.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Never returns, unless a file is none that can be read again, such as a pipe.
    pub(crate) async fn follow(self: Arc<Self>, kind: Reload, metrics: Arc<Metrics>) {
        let regular = |path: &String| std::fs::metadata(path).is_ok_and(|file| file.is_file());
        if !self.paths.iter().all(regular) {
            return tracing::warn!(files = ?self.paths, "not a regular file: changes will not be noticed");
        }
        let mut judged: Snapshot = Ok(self.first.clone());
        let mut seen = judged.clone();
        let mut clock = tokio::time::interval(LOOK);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let paths = self.paths.clone();
            // The node's end may interrupt it.
            let Ok(found) = tokio::task::spawn_blocking(move || snapshot(&paths)).await else { return };
            if found == seen && found != judged {
                self.take(&found, kind, &metrics);
                judged.clone_from(&found);
            }
            seen = found;
        }
    }

    fn take(&self, found: &Snapshot, kind: Reload, metrics: &Metrics) {
        let parsed = found.as_ref().map_err(Clone::clone).and_then(|files| (self.parse)(files));
        let taken = parsed.is_ok();
        match parsed {
            Ok(value) => {
                *self.value.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
                tracing::info!(what = kind.as_str(), files = ?self.paths, "read again after a change");
            }
            Err(wrong) => {
                tracing::error!(
                    what = kind.as_str(),
                    wrong,
                    "a changed file cannot be used; what it held before stays"
                );
            }
        }
        // Last: whoever sees the count relies on what it counts.
        metrics.reloaded(kind, taken);
    }
}

fn snapshot(paths: &[String]) -> Snapshot {
    let read = |path: &String| {
        let wrong = |error: std::io::Error| format!("{path:?} cannot be read: {error}");
        let mut content = Vec::new();
        let file = std::fs::File::open(path).map_err(wrong)?;
        file.take(LARGEST + 1).read_to_end(&mut content).map_err(wrong)?;
        if content.len() as u64 > LARGEST {
            return Err(format!("{path:?} is larger than {LARGEST} bytes"));
        }
        Ok(File { path: path.clone(), content })
    };
    paths.iter().map(read).collect()
}

/// Secrets stay out of logs.
impl<T> std::fmt::Debug for Watched<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?}", self.paths)
    }
}
