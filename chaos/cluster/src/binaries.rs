//! Where the chat node's binary is.
use std::path::{Path, PathBuf};

use crate::engine::Progress;

#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    #[error("{0}")]
    Missing(String),
}

/// May cargo be run? Not inside `cargo test`: another choice of packages rebuilds half the graph.
pub enum Build<'a> {
    Never,
    /// In the workspace, with progress.
    WhenNeeded(Progress<'a>),
}

/// `given` is `$CHAT_NODE`; `beside` the running executable.
pub fn chat_node(_given: Option<&Path>, _beside: &Path, _build: Build<'_>) -> Result<PathBuf, BinaryError> {
    unimplemented!()
}
