//! Why a cluster could not be started, asked or changed: one sentence with its evidence, and the ends of logs.

use std::time::Duration;

use crate::Server;

#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// `seen` is the last value, `log` the end of what silent processes wrote.
    #[error("{what} did not come true within {within:?}: {seen}{log}")]
    TimedOut { what: String, within: Duration, seen: String, log: String },
    #[error("{server} {why}{log}")]
    Process { server: Server, why: String, log: String },
    /// A server of somebody else's, and why it may not be touched now.
    #[error("{server} is not touched: {why}")]
    NotTouched { server: Server, why: String },
    #[error("{server} answered {answer} to {command:?}")]
    Refused { server: Server, command: String, answer: String },
    #[error("{server} does not answer {command:?}: {why}")]
    Silent { server: Server, command: String, why: String },
    #[error("{what} has no primary: {seen}")]
    Nobody { what: String, seen: String },
    /// Addresses, ports, files, threads.
    #[error("{0}")]
    Ground(String),
}
