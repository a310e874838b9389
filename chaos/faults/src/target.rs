//! What a fault hits, by role. A role is resolved when the fault fires, not when the drill is planned: the busiest
//! primary of the plan may be a replica by then.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A Redis node, or several, by the role that they have when the fault fires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisTarget {
    /// The primary that holds the room with the most sends.
    PrimaryOfBusiestRoom,
    /// The primary that executed the most write calls since the cluster was last asked (the steady state).
    BusiestPrimary,
    /// 0 to 16383.
    PrimaryOfSlot(u16),
    PrimaryOfRoom(String),
    ReplicaOfBusiestRoom,
    ReplicaOfBusiestPrimary,
    ReplicaOfSlot(u16),
    AllReplicasOfBusiestRoom,
    AllReplicasOfBusiestPrimary,
    AllReplicasOfSlot(u16),
}

/// Either `redis` or `chat`, never both: `{ redis = "busiest_primary" }`, `{ redis = { primary_of_slot = 7 } }`,
/// `{ chat = 1 }` (counted from 1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Target {
    Redis(RedisTarget),
    Chat(u8),
}

/// A target as a drill file writes it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) redis: Option<RedisTarget>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chat: Option<u8>,
}

/// Why a written target is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    #[error("needs `redis` or `chat`")]
    Nothing,
    #[error("has `redis` and `chat`: a fault hits one of them")]
    Both,
    #[error("slot {0} is outside 0..=16383")]
    Slot(u16),
    #[error("chat nodes are counted from 1")]
    Zeroth,
}

impl TryFrom<Written> for Target {
    type Error = BadTarget;

    fn try_from(written: Written) -> Result<Target, BadTarget> {
        match (written.redis, written.chat) {
            (None, None) => Err(BadTarget::Nothing),
            (Some(_), Some(_)) => Err(BadTarget::Both),
            (None, Some(0)) => Err(BadTarget::Zeroth),
            (None, Some(node)) => Ok(Target::Chat(node)),
            (Some(role), None) => role.checked().map(Target::Redis),
        }
    }
}

impl From<Target> for Written {
    fn from(target: Target) -> Written {
        match target {
            Target::Redis(role) => Written { redis: Some(role), chat: None },
            Target::Chat(node) => Written { redis: None, chat: Some(node) },
        }
    }
}

impl RedisTarget {
    pub(crate) fn checked(self) -> Result<RedisTarget, BadTarget> {
        match self {
            RedisTarget::PrimaryOfSlot(slot)
            | RedisTarget::ReplicaOfSlot(slot)
            | RedisTarget::AllReplicasOfSlot(slot)
                if slot > 16383 =>
            {
                Err(BadTarget::Slot(slot))
            }
            sound => Ok(sound),
        }
    }
}

impl Target {
    /// What is out of order at most, and what that means for the others. `how`: down, hung.
    pub(crate) fn blast_radius(&self, how: &str) -> String {
        match self {
            Target::Chat(_) => format!("1 chat node {how}; its users move to the others"),
            Target::Redis(role) if role.is_primary() => {
                format!("1 Redis primary {how}; sends to its shard wait for a promotion")
            }
            Target::Redis(role) if role.is_one() => {
                format!("1 Redis replica {how}; acks of its shard wait until it counts as failed")
            }
            Target::Redis(_) => format!("every replica of 1 shard {how}; its acks wait until one is back"),
        }
    }
}

impl RedisTarget {
    pub(crate) fn is_primary(&self) -> bool {
        use RedisTarget::{BusiestPrimary, PrimaryOfBusiestRoom, PrimaryOfRoom, PrimaryOfSlot};
        matches!(self, PrimaryOfBusiestRoom | BusiestPrimary | PrimaryOfSlot(_) | PrimaryOfRoom(_))
    }

    pub(crate) fn is_one(&self) -> bool {
        use RedisTarget::{AllReplicasOfBusiestPrimary, AllReplicasOfBusiestRoom, AllReplicasOfSlot};
        !matches!(self, AllReplicasOfBusiestRoom | AllReplicasOfBusiestPrimary | AllReplicasOfSlot(_))
    }
}

impl fmt::Display for RedisTarget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedisTarget::PrimaryOfBusiestRoom => write!(out, "the primary of the busiest room"),
            RedisTarget::BusiestPrimary => write!(out, "the busiest primary"),
            RedisTarget::PrimaryOfSlot(slot) => write!(out, "the primary of slot {slot}"),
            RedisTarget::PrimaryOfRoom(room) => write!(out, "the primary of {room}"),
            RedisTarget::ReplicaOfBusiestRoom => write!(out, "a replica of the busiest room's primary"),
            RedisTarget::ReplicaOfBusiestPrimary => write!(out, "a replica of the busiest primary"),
            RedisTarget::ReplicaOfSlot(slot) => write!(out, "a replica of slot {slot}"),
            RedisTarget::AllReplicasOfBusiestRoom => write!(out, "all replicas of the busiest room's primary"),
            RedisTarget::AllReplicasOfBusiestPrimary => write!(out, "all replicas of the busiest primary"),
            RedisTarget::AllReplicasOfSlot(slot) => write!(out, "all replicas of slot {slot}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Redis(role) => role.fmt(out),
            Target::Chat(node) => write!(out, "chat node {node}"),
        }
    }
}
