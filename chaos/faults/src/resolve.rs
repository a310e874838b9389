//! From a role to the processes that have it now.

use chaos_cluster::{Role, Server, View, slot_of_room};

use crate::{FaultError, HealStep, RedisTarget, Scene, Struck, Target, fault::Owned};

impl Target {
    /// Never empty; all of them are running.
    pub(crate) async fn resolve(&self, scene: &Scene<'_>) -> Result<Vec<Struck>, FaultError> {
        let servers = match self {
            Target::Chat(node) => vec![Server::Chat(*node)],
            Target::Redis(role) => role.resolve(scene).await?,
        };
        if servers.is_empty() {
            return Err(self.failed("there is none"));
        }
        let view = scene.cluster.view().await;
        servers.into_iter().map(|server| strike(scene, &view, server)).collect()
    }

    fn failed(&self, why: &str) -> FaultError {
        FaultError::Target { target: self.to_string(), why: why.to_owned() }
    }
}

impl RedisTarget {
    async fn resolve(&self, scene: &Scene<'_>) -> Result<Vec<Server>, FaultError> {
        use RedisTarget as T;
        let cluster = scene.cluster;
        let primary = match self {
            T::PrimaryOfBusiestRoom | T::ReplicaOfBusiestRoom | T::AllReplicasOfBusiestRoom => {
                let slot = scene.busiest_slot.ok_or_else(|| self.failed("nobody says which room that is"))?;
                cluster.primary_of_slot(slot).await?
            }
            T::BusiestPrimary | T::ReplicaOfBusiestPrimary | T::AllReplicasOfBusiestPrimary => {
                cluster.busiest_primary().await?
            }
            T::PrimaryOfRoom(room) => cluster.primary_of_slot(slot_of_room(room)).await?,
            T::PrimaryOfSlot(slot) | T::ReplicaOfSlot(slot) | T::AllReplicasOfSlot(slot) => {
                cluster.primary_of_slot(*slot).await?
            }
        };
        if self.is_primary() {
            return Ok(vec![primary]);
        }
        let mut replicas = cluster.view().await.replicas_of(primary);
        if self.is_one() {
            replicas.truncate(1);
        }
        Ok(replicas)
    }

    fn failed(&self, why: &str) -> FaultError {
        Target::Redis(self.clone()).failed(why)
    }
}

/// What there is to know of a process before it is hit.
pub(crate) fn strike(scene: &Scene<'_>, view: &View, server: Server) -> Result<Struck, FaultError> {
    let pid = scene.cluster.pid(server).ok_or(FaultError::NotRunning { server })?;
    let owned = view.node(server).filter(|node| node.role == Role::Primary && !node.slots.is_empty());
    let owned = owned.map(|node| Owned { slots: node.slots.clone(), epoch: node.config_epoch });
    Ok(Struck { server, pid, owned })
}

/// How a process that is down comes back. A Redis node waits for its successor, if it needs one.
pub(crate) fn start_again(struck: &Struck) -> HealStep {
    HealStep::Start { server: struck.server, when_replaced: struck.server.is_redis() }
}
