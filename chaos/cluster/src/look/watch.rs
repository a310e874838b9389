//! Watches every node by itself, and tells what changes when it changes: how a promotion is measured.
//!
//! Each node is asked in a task of its own, so that a hung one delays no other. The time of a change is when its answer
//! came, so it is late by at most the interval and a round trip.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::AbortHandle,
    time::{MissedTickBehavior, interval},
};

use super::{Directory, NodeView, Role, Seen, seen};
use crate::Server;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: Instant,
    pub server: Server,
    pub what: Changed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// By its own word; told of every node when the watching begins.
    Role { role: Role, config_epoch: u64, slots: Vec<(u16, u16)> },
    /// The highest `cluster_current_epoch` of any node rose: an election began, a failed one when no role changes with it.
    Epoch { from: u64, to: u64 },
    /// It stopped answering.
    Silent(String),
    /// It answers again.
    Answers,
}

/// Ends its watching when dropped.
#[derive(Debug)]
pub struct Watcher {
    pub changes: mpsc::UnboundedReceiver<Change>,
    tasks: Vec<AbortHandle>,
}

impl Watcher {
    pub(crate) fn start(runtime: &Handle, directory: &Arc<Directory>, every: Duration) -> Watcher {
        let (told, changes) = mpsc::unbounded_channel();
        let epoch = Arc::new(Mutex::new(0));
        let watch = |(server, address): (&Server, &SocketAddr)| {
            let node = Node { server: *server, told: told.clone(), epoch: epoch.clone(), last: Last::Unknown };
            runtime.spawn(node.watch(*address, directory.clone(), every)).abort_handle()
        };
        let tasks = directory.direct.iter().map(watch).collect();
        Watcher { changes, tasks }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

struct Node {
    server: Server,
    told: mpsc::UnboundedSender<Change>,
    /// Of all nodes.
    epoch: Arc<Mutex<u64>>,
    last: Last,
}

#[derive(PartialEq, Eq)]
enum Last {
    Unknown,
    Silent,
    Answered { role: Role, config_epoch: u64, slots: Vec<(u16, u16)> },
}

impl Node {
    async fn watch(mut self, address: SocketAddr, directory: Arc<Directory>, every: Duration) {
        let mut connection = None;
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match seen(&mut connection, address, &directory).await {
                Seen::Answered(node) => self.answered(node),
                Seen::Silent(why) => self.silent(why),
            }
        }
    }

    fn answered(&mut self, node: NodeView) {
        let at = Instant::now();
        self.epoch_seen(at, node.current_epoch);
        let (role, config_epoch, slots) = (node.role, node.config_epoch, node.slots);
        let now = Last::Answered { role, config_epoch, slots: slots.clone() };
        if self.last == Last::Silent {
            self.tell(at, Changed::Answers);
        }
        if self.last != now {
            self.last = now;
            self.tell(at, Changed::Role { role, config_epoch, slots });
        }
    }

    fn silent(&mut self, why: String) {
        if self.last != Last::Silent {
            self.last = Last::Silent;
            self.tell(Instant::now(), Changed::Silent(why));
        }
    }

    /// The first answer of a node tells where the watching begins, not that something rose.
    fn epoch_seen(&self, at: Instant, seen: u64) {
        let mut highest = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        let from = *highest;
        *highest = from.max(seen);
        if from < seen && self.last != Last::Unknown {
            self.tell(at, Changed::Epoch { from, to: seen });
        }
    }

    fn tell(&self, at: Instant, what: Changed) {
        // Nobody listens any more: this task is about to be aborted.
        let _ = self.told.send(Change { at, server: self.server, what });
    }
}
