//! Why a run has no verdict.

use std::{
    io,
    path::{Path, PathBuf},
};

use chaos_observe::RunDirError;

use crate::exit::Exit;

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Ctrl-C, or the longest duration. `healed` says whether everything was.
    #[error("{why}; {healed}, nothing is judged (record: {run})")]
    Aborted { why: String, healed: String, run: String },
    /// Likewise, before anything was started.
    #[error("{why}; nothing was started")]
    NotBegun { why: String },
    /// The system did not get going, so nothing can be said about faults.
    #[error("never in a steady state: {why} (record: {run})")]
    NeverSteady { why: String, run: String },
    /// A stored run that has no verdict.
    #[error("this run ended before it could be judged: {why} (record: {run})")]
    Unjudged { why: String, run: String },
    /// What was named is no run of `chaos drill`.
    #[error("{path}: no run: {why}", path = path.display())]
    NoRun { path: PathBuf, why: String },
    /// Nothing was touched.
    #[error("{0}")]
    NotConfirmed(String),
    /// The harness itself.
    #[error("{0}")]
    Harness(String),
    #[error(transparent)]
    RunDir(#[from] RunDirError),
}

impl RunError {
    pub const fn exit(&self) -> Exit {
        match self {
            RunError::Aborted { .. }
            | RunError::NotBegun { .. }
            | RunError::NeverSteady { .. }
            | RunError::Unjudged { .. } => Exit::Aborted,
            RunError::NoRun { .. } | RunError::NotConfirmed(_) => Exit::Usage,
            RunError::Harness(_) | RunError::RunDir(_) => Exit::Harness,
        }
    }

    /// A file of the record cannot be written or read.
    pub(crate) fn record(path: &Path, error: impl std::fmt::Display) -> RunError {
        RunError::Harness(format!("{}: {error}", path.display()))
    }
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> RunError {
        RunError::Harness(error.to_string())
    }
}
