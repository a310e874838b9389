//! Can this node keep its promise right now? What `/ready` and the metrics say.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::edge::RedisAddress;

/// How a shard does, as this node's writer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ShardState {
    /// Nothing was tried yet.
    #[default]
    Starting,
    /// The last fence held, or the connection stands and nothing was written yet.
    Acking,
    /// Too few replicas are attached to the primary: nothing could be acked, whether or not anything waits.
    Detached { asked: usize, attached: usize },
    /// The primary answers, but too few replicas do: nothing can be acked.
    Short { asked: usize, answered: usize },
    /// The primary cannot be reached or refuses what it is asked, or nobody is known to be it.
    Unreachable { why: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStatus {
    pub shard: usize,
    pub primary: RedisAddress,
    pub epoch: u64,
    pub partitions: usize,
    pub state: ShardState,
}

impl ShardStatus {
    /// Acks of this shard wait.
    pub fn degraded(&self) -> bool {
        self.state != ShardState::Acking
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// False while starting, draining, or when no shard at all can be used.
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
    pub draining: bool,
    /// Messages that wait for an ack.
    pub pending: usize,
    /// Rooms with members on this node.
    pub rooms: usize,
    pub shards: Vec<ShardStatus>,
}

impl Status {
    pub fn degraded(&self) -> impl Iterator<Item = &ShardStatus> {
        self.shards.iter().filter(|shard| shard.degraded())
    }
}

/// The writers' own words, by shard.
#[derive(Default)]
pub(crate) struct Health(Mutex<BTreeMap<usize, ShardState>>);

impl Health {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, ShardState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, shard: usize, state: ShardState) {
        self.lock().insert(shard, state);
    }

    /// Keeps the reason that is already known: it says more.
    pub(crate) fn unreachable(&self, shard: usize, why: &str) {
        let mut states = self.lock();
        let state = states.entry(shard).or_default();
        if !matches!(state, ShardState::Unreachable { .. }) {
            *state = ShardState::Unreachable { why: why.to_owned() };
        }
    }

    pub(crate) fn get(&self, shard: usize) -> ShardState {
        self.lock().get(&shard).cloned().unwrap_or_default()
    }

    /// What a connection that stands says of the primary's replicas. One that is attached may hang all the same: it must
    /// not hide a short fence.
    pub(crate) fn connected(&self, shard: usize, asked: usize, attached: usize) {
        let mut states = self.lock();
        let state = states.entry(shard).or_default();
        if !matches!(state, ShardState::Short { .. }) {
            let enough = attached >= asked;
            *state = if enough { ShardState::Acking } else { ShardState::Detached { asked, attached } };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_without_its_replicas_is_degraded_before_anything_waits_and_until_they_are_back() {
        let health = Health::default();
        health.connected(1, 1, 0);
        assert_eq!(health.get(1), ShardState::Detached { asked: 1, attached: 0 });
        health.connected(1, 2, 1);
        assert_eq!(health.get(1), ShardState::Detached { asked: 2, attached: 1 });
        health.connected(1, 2, 2);
        assert_eq!(health.get(1), ShardState::Acking);
    }

    #[test]
    fn a_replica_that_is_attached_does_not_hide_a_short_fence() {
        let health = Health::default();
        let short = ShardState::Short { asked: 2, answered: 1 };
        health.set(1, short.clone());
        health.connected(1, 2, 2);
        assert_eq!(health.get(1), short);
    }
}
