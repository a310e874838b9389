//! The log's settings, and the relations between them that the promise needs.

use std::fmt;
use std::time::Duration;

use system_protocol::limits;

use crate::edge::RedisAddress;

/// When an ack may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fence {
    /// When every replica that could be elected holds the entry.
    #[default]
    Full,
    /// At once: acked messages can be lost. A documented weak setting, kept so that a drill can show what it loses.
    None,
}

/// Redis ACL user. Never printed.
#[derive(Clone, Default)]
pub struct Credentials {
    pub username: Option<String>,
    pub password: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Credentials")
    }
}

/// What decides whether a replica can be elected. Read from the servers' CONFIG where that is allowed; these are what
/// holds until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Election {
    /// `cluster-node-timeout`.
    pub node_timeout: Duration,
    /// `cluster-replica-validity-factor`; 0 means that any replica may be elected.
    pub validity_factor: u32,
    /// `repl-ping-replica-period`.
    pub repl_ping: Duration,
}

impl Default for Election {
    fn default() -> Self {
        Election { node_timeout: Duration::from_secs(15), validity_factor: 10, repl_ping: Duration::from_secs(10) }
    }
}

impl Election {
    /// A replica whose link to its primary has been down or silent for longer is not elected.
    pub(crate) fn eligibility(&self) -> Option<Duration> {
        (self.validity_factor > 0).then(|| self.node_timeout * (self.validity_factor + 1) + self.repl_ping)
    }
}

#[derive(Debug, Clone)]
pub struct Config {
    /// Where to ask first; the rest of the cluster is learned from them.
    pub nodes: Vec<RedisAddress>,
    pub credentials: Credentials,
    pub fence: Fence,
    /// How long one message is tried.
    pub append_deadline: Duration,
    /// How long one WAIT waits.
    pub wait: Duration,
    /// A connection that has not answered for this long is dropped. More than `wait`, less than the node timeout.
    pub liveness: Duration,
    /// How often every node is asked who owns what.
    pub topology: Duration,
    /// How often heads are compared with what was delivered.
    pub sweep: Duration,
    /// The client's retry horizon, only checked against the dedupe window.
    pub retry_horizon: Duration,
    pub dedupe_window: Duration,
    pub history_window: Duration,
    /// How often a room is trimmed at most, by each node.
    pub trim: Duration,
    /// Most messages in one fence.
    pub batch: usize,
    /// Most entries of one room in one read.
    pub page: usize,
    /// Most rooms in one of the 256 partitions; one more is refused.
    pub rooms_per_partition: u64,
    /// Most entries in one room; one more is refused, nothing is trimmed for it.
    pub room_length: u64,
    /// Most messages that wait for an ack on this node; one more is refused.
    pub pending: usize,
    pub election: Election,
    #[cfg(debug_assertions)]
    pub broken: crate::broken::Broken,
}

/// Two settings that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} {value:?} must be {relation}")]
pub struct ConfigError {
    pub setting: &'static str,
    pub value: Duration,
    pub relation: String,
}

impl Config {
    pub fn new(nodes: Vec<RedisAddress>) -> Self {
        Config {
            nodes,
            credentials: Credentials::default(),
            fence: Fence::Full,
            append_deadline: limits::APPEND_DEADLINE,
            wait: Duration::from_millis(500),
            liveness: Duration::from_millis(800),
            topology: Duration::from_millis(200),
            sweep: Duration::from_millis(500),
            retry_horizon: limits::RETRY_HORIZON,
            dedupe_window: limits::DEDUPE_WINDOW,
            history_window: limits::HISTORY_WINDOW,
            trim: Duration::from_mins(1),
            batch: 256,
            page: 500,
            rooms_per_partition: 10_000,
            room_length: 1_000_000,
            pending: 100_000,
            election: Election::default(),
            #[cfg(debug_assertions)]
            broken: crate::broken::Broken::default(),
        }
    }

    /// The relations that the promise needs.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |setting, value, relation| Err(ConfigError { setting, value, relation });
        if self.wait >= self.liveness {
            return wrong("wait", self.wait, format!("less than the liveness deadline {:?}", self.liveness));
        }
        let horizon = self.retry_horizon + self.append_deadline;
        if self.dedupe_window <= horizon {
            let relation = format!("more than retry horizon + append deadline, {horizon:?}");
            return wrong("dedupe window", self.dedupe_window, relation);
        }
        if self.wait.as_millis() == 0 {
            return wrong("wait", self.wait, "at least 1 ms (0 would wait for ever)".to_owned());
        }
        Ok(())
    }

    /// How often an idle connection is asked whether it lives: often enough that it is noticed within the deadline.
    pub(crate) fn idle(&self) -> Duration {
        self.liveness / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_go_together() {
        assert_eq!(Config::new(Vec::new()).check(), Ok(()));
    }

    #[test]
    fn a_wait_longer_than_the_liveness_deadline_is_refused() {
        let config = Config { wait: Duration::from_secs(1), ..Config::new(Vec::new()) };
        assert_eq!(config.check().unwrap_err().setting, "wait");
    }

    #[test]
    fn an_id_is_remembered_for_longer_than_it_may_be_sent_again() {
        let config = Config { dedupe_window: Duration::from_mins(5), ..Config::new(Vec::new()) };
        assert_eq!(config.check().unwrap_err().setting, "dedupe window");
    }

    #[test]
    fn a_validity_factor_of_zero_lets_anybody_be_elected() {
        let election =
            Election { node_timeout: Duration::from_secs(1), validity_factor: 10, repl_ping: Duration::from_secs(1) };
        assert_eq!(election.eligibility(), Some(Duration::from_secs(12)));
        assert_eq!(Election { validity_factor: 0, ..election }.eligibility(), None);
    }
}
