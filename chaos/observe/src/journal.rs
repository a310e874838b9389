//! What the harness did and noticed, in `journal.jsonl`: the other half of the record, beside what users saw.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    At, Clock,
    lines::{Lines, LinesError},
};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    pub at: At,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// A phase begins.
    Phase {
        phase: Phase,
        note: String,
    },
    /// A fault is injected. `fault` is its number in the plan, `kind` and `target` are for people and reports.
    FaultOn {
        fault: String,
        kind: String,
        target: String,
    },
    /// What shows that it bit; empty when nothing does.
    Evidence {
        fault: String,
        seen: Vec<String>,
    },
    /// The fault is over: healed, or of itself.
    FaultOff {
        fault: String,
    },
    /// A Redis node's role as the cluster sees it. `slots` is empty for a replica.
    Role {
        node: String,
        role: String,
        epoch: u64,
        slots: String,
    },
    /// Something with a budget was measured; `took_us` is absent when it never came.
    Measured {
        name: String,
        fault: Option<String>,
        took_us: Option<u64>,
        latest_us: u64,
    },
    /// The worst lag of the harness itself since the last such line.
    Lag {
        worst_us: u64,
    },
    Note {
        text: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Plan,
    Boot,
    Steady,
    Faults,
    Heal,
    Drain,
    FinalRead,
    Judge,
    Cleanup,
}

/// Cheap to clone; never waits.
#[derive(Clone, Debug)]
pub struct Journal {
    clock: Clock,
    lines: Lines<Mark>,
}

/// Why a stored journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("journal {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("journal {}:{line}: {source}", path.display())]
    Line { path: PathBuf, line: usize, source: serde_json::Error },
}

impl Journal {
    pub fn create(path: &Path, clock: Clock) -> Result<Journal, LinesError> {
        Ok(Journal { clock, lines: Lines::create(path)? })
    }

    /// Writes it down as of now.
    pub fn mark(&self, what: What) {
        self.mark_at(self.clock.now(), what);
    }

    pub fn mark_at(&self, at: At, what: What) {
        self.lines.write(Mark { at, what });
    }

    pub fn phase(&self, phase: Phase, note: impl Into<String>) {
        self.mark(What::Phase { phase, note: note.into() });
    }

    pub fn note(&self, text: impl Into<String>) {
        self.mark(What::Note { text: text.into() });
    }

    /// Waits until all marks are in the file; later ones are dropped.
    pub fn finish(&self) -> Result<u64, LinesError> {
        self.lines.finish()
    }

    pub fn load(path: &Path) -> Result<Vec<Mark>, JournalError> {
        let text = fs::read_to_string(path).map_err(|source| JournalError::Read { path: path.to_owned(), source })?;
        let mark = |(nth, line): (usize, &str)| {
            let failed = |source| JournalError::Line { path: path.to_owned(), line: nth + 1, source };
            serde_json::from_str(line).map_err(failed)
        };
        text.lines().enumerate().map(mark).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back_from_the_file_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let journal = Journal::create(&path, Clock::start()).unwrap();
        let fault = || "1".to_owned();
        let marks = [
            What::Phase { phase: Phase::FinalRead, note: String::new() },
            What::FaultOn { fault: fault(), kind: "kill".to_owned(), target: "redis-2".to_owned() },
            What::Evidence { fault: fault(), seen: vec!["the process is gone".to_owned()] },
            What::Measured { name: "promote".to_owned(), fault: Some(fault()), took_us: None, latest_us: 5 },
        ];
        for mark in &marks {
            journal.mark(mark.clone());
        }
        assert_eq!(journal.finish().unwrap(), 4);
        let read: Vec<_> = Journal::load(&path).unwrap().into_iter().map(|mark| mark.what).collect();
        assert_eq!(read, marks);
    }
}
