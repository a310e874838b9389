//! What the loader, the plan and the run need to know of a fault before it fires.
//!
//! The faults themselves are `chaos-faults`; here are only the questions that a drill asks about them as a whole.

use std::time::Duration;

use chaos_faults::{Inject, RedisTarget, Target};

use crate::drill::Drill;

/// What a fault will do to a cluster, told from its settings alone.
pub(crate) trait Foreseen {
    /// SIGKILL of a primary: the one that loses what its replicas do not have yet.
    fn kills_primary(&self) -> bool;
    /// A primary is gone long enough for a replica to be promoted, which then has a budget.
    fn takes_a_primary(&self) -> bool;
    /// Whether another node may become a primary by it.
    fn may_promote(&self) -> bool;
    /// How many primaries are down or hung at once while it is on.
    fn primaries_down(&self) -> usize;
    /// Why its target is not in the cluster of this drill.
    fn missing_target(&self, drill: &Drill) -> Option<String>;
    /// How long the injection itself takes, before the window to the heal begins.
    fn lasts(&self, drill: &Drill) -> Duration;
}

impl Foreseen for Inject {
    fn kills_primary(&self) -> bool {
        matches!(self, Inject::Kill(kill) if is_primary(&kill.0))
    }

    fn takes_a_primary(&self) -> bool {
        match self {
            Inject::Kill(fault) => is_primary(&fault.0),
            Inject::Terminate(fault) => is_primary(&fault.0),
            Inject::Pause(fault) => is_primary(&fault.0),
            _ => false,
        }
    }

    fn may_promote(&self) -> bool {
        target(self).is_none_or(|target| is_primary(&target))
    }

    fn primaries_down(&self) -> usize {
        usize::from(self.takes_a_primary())
    }

    fn missing_target(&self, drill: &Drill) -> Option<String> {
        match target(self)? {
            Target::Chat(node) if node > drill.cluster.chat_nodes => {
                Some(format!("there is no chat node {node}, only {}", drill.cluster.chat_nodes))
            }
            Target::Redis(role) if is_replica(&role) && drill.cluster.redis.replicas_per_shard == 0 => {
                Some("it hits a replica, and `replicas_per_shard` is 0".to_owned())
            }
            Target::Redis(RedisTarget::PrimaryOfRoom(room)) => {
                let mut rooms = drill.workload.room_names();
                let made = format!("{} to {}", rooms.next()?, rooms.last()?);
                let known = drill.workload.room_names().any(|name| name == room);
                (!known).then(|| format!("nobody is in room {room:?}; the load makes {made}"))
            }
            _ => None,
        }
    }

    fn lasts(&self, drill: &Drill) -> Duration {
        let redis = &drill.cluster.redis;
        let servers = u32::from(redis.shards) * (1 + u32::from(redis.replicas_per_shard));
        match self {
            Inject::RollingRestart(_) => {
                let primaries = redis.node_timeout.get() * 4 * u32::from(redis.shards);
                primaries + Duration::from_secs(2) * (servers + u32::from(drill.cluster.chat_nodes))
            }
            Inject::Restart(_) => redis.node_timeout.get() * 4,
            _ => Duration::ZERO,
        }
    }
}

/// Whom it hits, where that is one process or the like.
pub(crate) fn target(inject: &Inject) -> Option<Target> {
    match inject {
        Inject::Kill(fault) => Some(fault.0.clone()),
        Inject::Terminate(fault) => Some(fault.0.clone()),
        Inject::Pause(fault) => Some(fault.0.clone()),
        Inject::Restart(fault) => Some(fault.0.clone()),
        Inject::FastRestart(fault) => Some(Target::Redis(fault.redis.clone())),
        Inject::ReplicationDelay(_) | Inject::Cut(_) | Inject::RollingRestart(_) => None,
    }
}

fn is_primary(target: &Target) -> bool {
    matches!(target, Target::Redis(role) if !is_replica(role))
}

fn is_replica(role: &RedisTarget) -> bool {
    match role {
        RedisTarget::PrimaryOfBusiestRoom
        | RedisTarget::BusiestPrimary
        | RedisTarget::PrimaryOfSlot(_)
        | RedisTarget::PrimaryOfRoom(_) => false,
        RedisTarget::ReplicaOfBusiestRoom
        | RedisTarget::ReplicaOfBusiestPrimary
        | RedisTarget::ReplicaOfSlot(_)
        | RedisTarget::AllReplicasOfBusiestRoom
        | RedisTarget::AllReplicasOfBusiestPrimary
        | RedisTarget::AllReplicasOfSlot(_) => true,
    }
}
