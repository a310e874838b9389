//! One per shard: listens to the bells of the partitions that have rooms on this node.
//!
//! A bell is a hint. The connection is the bells' own: a slot that moves away is unsubscribed by the server, unasked,
//! and redis-rs would take that push for the answer to whatever was asked last. Here that ends the connection.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use redis::{PushInfo, PushKind, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use crate::connection::{Link, LinkError};
use crate::edge::Edge;
use crate::names::{self, Partition};
use crate::replies;
use crate::shards::Shared;
use crate::topology::{Shard, ShardIndex};

const BREATH: Duration = Duration::from_millis(20);

/// Listen to this partition from now on; answered when the server said so.
pub(crate) struct Listen {
    pub(crate) partition: Partition,
    pub(crate) done: oneshot::Sender<()>,
}

pub(crate) async fn run<E: Edge>(
    shared: Arc<Shared<E>>,
    index: ShardIndex,
    mut wishes: mpsc::UnboundedReceiver<Listen>,
) {
    loop {
        let shard = shared.primary(index).await;
        let (push, pushes) = mpsc::unbounded_channel();
        let opening = Link::open_with(&shared.edge, &shared.config, &shard.address, Some(push));
        let error = match shared.reach(&shard, opening).await {
            Ok(link) => {
                let ear = Ear { shared: &shared, shard: shard.clone(), link, heard: BTreeSet::new() };
                ear.listen(pushes, &mut wishes).await
            }
            Err(error) => error,
        };
        tracing::debug!(target: "holdfast", shard = index, %error, "bells lost their connection");
        shared.suspect(&shard);
        sleep(BREATH).await;
    }
}

struct Ear<'a, E: Edge> {
    shared: &'a Shared<E>,
    shard: Shard,
    link: Link,
    heard: BTreeSet<Partition>,
}

impl<E: Edge> Ear<'_, E> {
    async fn listen(
        mut self,
        mut pushes: mpsc::UnboundedReceiver<PushInfo>,
        wishes: &mut mpsc::UnboundedReceiver<Listen>,
    ) -> LinkError {
        if let Err(error) = self.subscribe_to_all_open().await {
            return error;
        }
        // Whatever rang while nobody listened.
        if let Some(handle) = self.shared.handle(self.shard.index) {
            handle.sweep_now.notify_one();
        }
        let mut look = Instant::now() + self.shared.config.idle();
        loop {
            let outcome = tokio::select! {
                biased;
                () = sleep_until(look) => {
                    look = Instant::now() + self.shared.config.idle();
                    self.look_around().await
                }
                Some(wish) = wishes.recv() => self.fulfil(wish).await,
                push = pushes.recv() => self.hear(push),
            };
            if let Err(error) = outcome {
                return error;
            }
            if !self.shared.stands(&self.shard) {
                return self.link.superseded();
            }
        }
    }

    /// Whether the server lives, and whether a partition has moved in.
    async fn look_around(&mut self) -> Result<(), LinkError> {
        self.link.ping().await?;
        self.subscribe_to_all_open().await
    }

    async fn subscribe_to_all_open(&mut self) -> Result<(), LinkError> {
        let topology = self.shared.now_topology();
        let here = |partition: &Partition| {
            topology.home.get(partition) == Some(&self.shard.index) && !self.heard.contains(partition)
        };
        let open: Vec<Partition> = self.shared.rooms.by_partition().into_keys().filter(here).collect();
        self.subscribe(&open).await
    }

    async fn fulfil(&mut self, wish: Listen) -> Result<(), LinkError> {
        if !self.heard.contains(&wish.partition) {
            self.subscribe(&[wish.partition]).await?;
        }
        let _ = wish.done.send(());
        Ok(())
    }

    /// One channel per command: each is confirmed by a push of its own.
    async fn subscribe(&mut self, partitions: &[Partition]) -> Result<(), LinkError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for partition in partitions {
            pipeline.cmd("SSUBSCRIBE").arg(names::bell(*partition));
        }
        for (answer, partition) in self.link.ask(&pipeline).await?.iter().zip(partitions) {
            match answer {
                Value::Push { kind: PushKind::SSubscribe, .. } => _ = self.heard.insert(*partition),
                Value::ServerError(_) => self.shared.kick(),
                _ => return Err(self.link.nonsense("no confirmation of SSUBSCRIBE")),
            }
        }
        Ok(())
    }

    fn hear(&self, push: Option<PushInfo>) -> Result<(), LinkError> {
        match push {
            Some(PushInfo { kind: PushKind::SMessage, data }) => {
                self.ring(&data);
                Ok(())
            }
            Some(PushInfo { kind: PushKind::SUnsubscribe, .. }) => Err(self.link.superseded()),
            Some(PushInfo { kind: PushKind::Disconnection, .. }) | None => Err(self.link.nonsense("the end")),
            Some(_) => Ok(()),
        }
    }

    fn ring(&self, data: &[Value]) {
        let [Value::BulkString(channel), payload] = data else { return };
        let Some((room, committed)) = replies::text(payload).and_then(replies::heard) else { return };
        if names::partition_of_bell(channel) != Some(names::partition_of(&room)) {
            return;
        }
        let Some(cell) = self.shared.rooms.get(&room) else { return };
        if cell.told(committed).is_some() {
            self.shared.wake_reader(cell);
        }
    }
}
