//! Why a cluster could not be started, asked or changed: one sentence with its evidence, and the tail of the log.

use std::time::Duration;

use crate::{EngineError, Server};

#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{what} did not come true within {within:?}: {seen}{log}")]
    TimedOut { what: String, within: Duration, seen: String, log: String },
    #[error("{server}: {why}{log}")]
    Process { server: Server, why: String, log: String },
    #[error("{server} answered {answer:?} to {command:?}")]
    Refused { server: Server, command: String, answer: String },
    #[error("{server} does not answer {command:?}: {why}")]
    Silent { server: Server, command: String, why: String },
    #[error("{0}")]
    Ground(String),
}
