//! How long the promotion of a killed or hung primary may take. The formula belongs to the engine.
//!
//! Redis and Valkey before 9: a node is suspected after the node timeout, at the latest after 1.5 times that (a ping goes
//! out at least every half timeout); until a majority has said so to each other another half; then the replica waits
//! 500 ms, up to 500 ms at random and 1 s for each replica that it thinks better (which steps in when the better one did
//! not get its votes: seen after 3.7 s at 1 s), and its cron runs every 100 ms. Valkey 9 derives that wait from the timeout (1/30 of it, 500 ms at most) and lets the best replica begin at once.
//!
//! A split vote is not in it: each failed election that the epochs show costs [`FAILED_ELECTION`] more, named apart.

use std::time::Duration;

use super::{Engine, EngineKind};

/// Kill to promotion. Outside of it either the cluster or the measurement is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    pub earliest: Duration,
    pub latest: Duration,
    /// With its numbers, for the plan and the report.
    pub formula: String,
}

/// What one failed election adds, at the least.
pub const FAILED_ELECTION: Duration = Duration::from_secs(4);

const CRON: Duration = Duration::from_millis(200);

impl Engine {
    /// For a shard whose primary dies with `replicas` replicas attached. `earliest` allows for a ping that was under
    /// way when the primary died.
    pub fn promotion_budget(&self, node_timeout: Duration, replicas: u8) -> Budget {
        let rank = u32::from(replicas.saturating_sub(1));
        let agreed = node_timeout * 2 + CRON;
        if self.elects_fast() {
            let wait = fast_wait(node_timeout);
            Budget {
                earliest: node_timeout.saturating_sub(PING_UNDER_WAY),
                latest: agreed + wait * 2 * (1 + rank),
                formula: format!(
                    "{} {}: timeout {node_timeout:?} … 1.5 × timeout (suspicion) + timeout/2 (majority) + \
                     2 × {wait:?} (timeout/30, random) + {rank} × {:?} (rank) + {CRON:?} (cron)",
                    self.kind,
                    self.version,
                    wait * 2
                ),
            }
        } else {
            let half = Duration::from_millis(500);
            Budget {
                earliest: (node_timeout + half).saturating_sub(PING_UNDER_WAY),
                latest: agreed + half * 2 + Duration::from_secs(1) * rank,
                formula: format!(
                    "{} {}: timeout {node_timeout:?} … 1.5 × timeout (suspicion) + timeout/2 (majority) + 500ms + \
                     0 … 500ms (random) + {rank} × 1s (rank) + {CRON:?} (cron)",
                    self.kind, self.version
                ),
            }
        }
    }

    /// What each failed election that was seen adds to the budget: max(4 × timeout, 4 s).
    pub fn failed_election(node_timeout: Duration) -> Duration {
        (node_timeout * 4).max(FAILED_ELECTION)
    }

    fn elects_fast(&self) -> bool {
        self.kind == EngineKind::Valkey && self.version.major >= 9
    }
}

/// A ping that was sent just before the death starts the clock that much earlier.
const PING_UNDER_WAY: Duration = Duration::from_millis(50);

fn fast_wait(node_timeout: Duration) -> Duration {
    (node_timeout / 30).min(Duration::from_millis(500))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Version;

    fn engine(kind: EngineKind, major: u16) -> Engine {
        Engine { program: "server".into(), kind, version: Version::new(major, 0), library_path: None }
    }

    fn holds(engine: &Engine, timeout_ms: u64, measured_ms: [u64; 2]) {
        let budget = engine.promotion_budget(Duration::from_millis(timeout_ms), 1);
        let [fastest, slowest] = measured_ms.map(Duration::from_millis);
        assert!(budget.earliest <= fastest && slowest <= budget.latest, "{budget:?}");
        assert!(budget.latest < slowest * 2, "so wide that it says nothing: {budget:?}");
    }

    #[test]
    fn what_was_measured_on_redis_lies_inside() {
        let redis = engine(EngineKind::Redis, 7);
        for (timeout, measured) in
            [(500, [1370, 1910]), (1000, [1910, 2780]), (2000, [3080, 4610]), (5000, [7790, 8910])]
        {
            holds(&redis, timeout, measured);
        }
        holds(&engine(EngineKind::Valkey, 8), 1000, [2010, 2480]);
    }

    #[test]
    fn what_was_measured_on_valkey_9_lies_inside_its_own_formula_only() {
        let valkey = engine(EngineKind::Valkey, 9);
        holds(&valkey, 1000, [1200, 1600]);
        holds(&valkey, 2000, [2470, 3120]);
        let redis = engine(EngineKind::Redis, 8).promotion_budget(Duration::from_secs(1), 1);
        assert!(redis.earliest > Duration::from_millis(1200), "a healthy Valkey 9 would be called too fast");
    }

    #[test]
    fn every_further_replica_may_have_to_wait_for_a_better_one() {
        let redis = engine(EngineKind::Redis, 7);
        let latest = |replicas| redis.promotion_budget(Duration::from_secs(1), replicas).latest;
        assert_eq!(latest(2), latest(1) + Duration::from_secs(1));
    }
}
