//! Questions to whoever owns a partition, asked until a proven answer comes; and the log as its sessions see it.
//!
//! A question follows its partition: through a failover by asking again, through a slot migration by ASK.

use std::sync::Arc;

use redis::Cmd;
use system_protocol::{Code, Offset, Refusal, Room};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::bells::Listen;
use crate::connection::Complaint;
use crate::edge::Edge;
use crate::entry::Item;
use crate::fencer::{Proven, Request};
use crate::library;
use crate::names::{self, Partition};
use crate::queue::MIGRATION_RETRY;
use crate::replies::{self, Entered};
use crate::shards::Shared;
use crate::source::{Entrance, Soon, Source};

/// What a fenced question came to.
pub(crate) enum Found {
    Value(redis::Value),
    /// The slot is on its way and the keys are on two sides: later, or one key at a time.
    Migrating,
}

/// Asks whoever owns the partition, for as long as it takes; the answer is proven.
pub(crate) async fn question<E: Edge>(shared: &Arc<Shared<E>>, partition: Partition, command: Cmd) -> Found {
    let mut target = None;
    loop {
        let asking = target.is_some();
        let home = target.take().or_else(|| shared.topology.borrow().home.get(&partition).copied());
        let Some(handle) = home.and_then(|index| shared.handle(index)) else {
            shared.news(shared.config.topology).await;
            continue;
        };
        let (answer, proven) = oneshot::channel();
        let _ = handle.fencer.send(Request { partition, command: command.clone(), asking, answer });
        match proven.await {
            Ok(Proven::Value(value)) => return Found::Value(value),
            Ok(Proven::Elsewhere(Complaint::TryAgain)) => return Found::Migrating,
            Ok(Proven::Elsewhere(Complaint::Ask { host, port })) => {
                target = shared.now_topology().shard_at(&host, port).map(|shard| shard.index);
                if target.is_none() {
                    // A primary without a slot cannot fence yet; the slot will be its own soon.
                    sleep(MIGRATION_RETRY).await;
                }
            }
            _ => {
                shared.kick();
                shared.news(shared.config.topology).await;
            }
        }
    }
}

/// The log as its sessions see it.
pub(crate) struct Redis<E: Edge>(pub(crate) Arc<Shared<E>>);

impl<E: Edge> Redis<E> {
    /// Calls with several keys wait out a migration.
    async fn patiently(&self, partition: Partition, command: Cmd) -> redis::Value {
        loop {
            match question(&self.0, partition, command.clone()).await {
                Found::Value(value) => return value,
                Found::Migrating => sleep(MIGRATION_RETRY).await,
            }
        }
    }
}

impl<E: Edge> Source for Redis<E> {
    /// Waits for the subscription no longer than a connection may be silent: the sweep does not need it.
    fn listen<'a>(&'a self, room: &'a Room) -> Soon<'a, ()> {
        Box::pin(async move {
            let partition = names::partition_of(room);
            let home = self.0.topology.borrow().home.get(&partition).copied();
            if let Some(handle) = home.and_then(|index| self.0.handle(index)) {
                let (done, heard) = oneshot::channel();
                let _ = handle.bells.send(Listen { partition, done });
                let _ = timeout(self.0.config.liveness, heard).await;
            }
        })
    }

    fn enter<'a>(&'a self, room: &'a Room, at: Option<Offset>) -> Soon<'a, Result<Entrance, Refusal>> {
        Box::pin(async move {
            let partition = names::partition_of(room);
            loop {
                let value = self.patiently(partition, library::enter(room, at, &self.0.config)).await;
                match replies::entered(&value) {
                    Some(Entered::Head { head, held }) => return Ok(Entrance { head, held }),
                    Some(Entered::RoomLimit) => {
                        return Err(Refusal::new(Code::RoomLimit, "This node takes no more rooms"));
                    }
                    None => {
                        tracing::error!(target: "holdfast", ?value, "unreadable answer to a join");
                        sleep(MIGRATION_RETRY).await;
                    }
                }
            }
        })
    }

    fn page<'a>(&'a self, room: &'a Room, from: Offset) -> Soon<'a, Vec<Item>> {
        Box::pin(async move {
            let command = library::range(room, from, None, self.0.config.page + 1);
            let value = self.patiently(names::partition_of(room), command).await;
            replies::items(&value, room).unwrap_or_default()
        })
    }

    fn pump(&self, room: &Room) {
        if let Some(cell) = self.0.rooms.get(room).filter(|cell| cell.behind().is_some()) {
            self.0.wake_reader(cell);
        }
    }

    fn spawn(&self, task: Soon<'static, ()>) {
        let _ = self.0.spawner.send(task);
    }
}
