//! One server of the model: its process, its data, whom it follows and who follows it, and how it sees the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::election::Election;
use super::replication::{Attached, MasterLink};
use super::resp::Reply;
use super::slot::slot_of;
use super::store::{Effect, Store};
use super::view::{Role, View};
use crate::network::{Host, Sender};
use crate::trace::Trace;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    Running,
    /// SIGSTOP: the kernel receives and accepts, nothing is processed, no timer fires.
    Paused,
    Dead,
}

/// Which command moves a connection's WAIT offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitRule {
    /// Redis 7.0: every command, also one that only reads (server.c, processCommand: `c->woff` behind each call).
    EveryCommand,
    /// Redis 7.2 and later, Valkey: only one that propagates. Measured on Redis 8.2, Valkey 8.1 and 9.1, and the rule
    /// above on 7.0, in every `cargo test -p suites-simulation the_model_answers_as_real_servers_do`.
    PropagatingOnly,
}

/// A client's connection, as the server answers it out of turn.
pub struct Client {
    pub to: Arc<Sender<Bytes>>,
    pub trace: Trace,
    pub resp3: bool,
    pub channels: BTreeSet<Bytes>,
    /// Closed by the server; its task ends at the next look.
    pub closed: bool,
}

/// Who speaks in the event of a message out of turn; servers' replies are at `ANSWERED` and following.
const PUSHED: u64 = 0x4fff;

impl Client {
    pub fn send(&self, reply: &Reply) {
        let mut out = BytesMut::new();
        reply.write(self.resp3, &mut out);
        self.trace.event(PUSHED, [&out[..]]);
        self.to.send(out.freeze());
    }
}

pub struct Server {
    pub index: usize,
    pub host: Host,
    /// 40 hexadecimal digits, as `CLUSTER MYID`.
    pub id: String,
    pub ip: String,
    pub port: u16,
    /// Id and addresses, as `CLUSTER NODES` lists them.
    pub announced: String,
    pub process: Process,
    /// Counts starts: what a task of an earlier process brings is not for this one.
    pub life: u64,
    pub booted: Instant,
    pub store: Store,
    /// Bytes of replication stream written (a primary) or applied (a replica).
    pub offset: u64,
    /// Which history `offset` counts in.
    pub replication_id: u64,
    pub replicas: BTreeMap<usize, Attached>,
    pub link: MasterLink,
    pub view: View,
    /// Its clock against the world's, milliseconds.
    pub skew_ms: i64,
    pub clients: BTreeMap<u64, Client>,
    /// Grows when a primary becomes a replica: whoever waits then is unblocked with an error.
    pub demotions: u64,
    pub acked: Arc<Notify>,
    pub woken: Arc<Notify>,
    pub role_changed: Arc<Notify>,
    pub migrating: BTreeMap<u16, usize>,
    pub importing: BTreeMap<u16, usize>,
    pub last_vote_epoch: u64,
    /// When it voted for a replica of that primary.
    pub voted: BTreeMap<usize, Instant>,
    pub election: Option<Election>,
    /// `cluster_state`, and when a majority was last out of reach.
    pub state_ok: bool,
    pub minority_since: Option<Instant>,
    /// Commands that write, as INFO commandstats would count them.
    pub writes: u64,
}

impl Server {
    pub fn is_primary(&self) -> bool {
        self.view.peers[self.index].role == Role::Primary
    }

    pub fn master(&self) -> Option<usize> {
        match self.view.peers[self.index].role {
            Role::Primary => None,
            Role::ReplicaOf(master) => Some(master),
        }
    }

    pub fn running(&self) -> bool {
        self.process == Process::Running
    }

    pub fn now_ms(&self, world_ms: u64) -> u64 {
        world_ms.saturating_add_signed(self.skew_ms)
    }

    pub fn address(&self) -> String {
        format!("{}:{}", self.ip, self.port)
    }

    /// Carry out effects and send them to every attached replica, in one piece.
    pub fn propagate(&mut self, effects: Vec<Effect>) {
        for effect in &effects {
            self.store.apply(effect);
        }
        self.announce(effects);
    }

    /// Send effects that were carried out already.
    pub fn announce(&mut self, effects: Vec<Effect>) {
        if effects.is_empty() {
            return;
        }
        self.offset += effects.iter().map(Effect::size).sum::<u64>();
        self.writes += 1;
        let effects: Arc<[Effect]> = effects.into();
        self.replicas.values().for_each(|replica| replica.feed(self.offset, &effects));
    }

    /// Replicas that WAIT counts for `offset`: online ones that acknowledged it.
    /// Source: Redis replication.c, replicationCountAcksByOffset.
    pub fn acknowledged(&self, offset: u64) -> usize {
        self.replicas.values().filter(|replica| replica.online && replica.acked >= offset).count()
    }

    /// Tell subscribers of slots that went elsewhere that they are no longer subscribed.
    /// Source: redis.io/docs/latest/develop/pubsub, "Sharded Pub/Sub"; Redis pubsub.c, removeChannelsInSlot.
    pub fn drop_channels(&mut self, gone: impl Fn(u16) -> bool) {
        for client in self.clients.values_mut() {
            let lost: Vec<_> = client.channels.iter().filter(|channel| gone(slot_of(channel))).cloned().collect();
            for channel in lost {
                client.channels.remove(&channel);
                let left = client.channels.len() as i64;
                client.send(&Reply::Push(vec![Reply::text("sunsubscribe"), Reply::Bulk(channel), Reply::Int(left)]));
            }
        }
    }

    /// Everything that a process has in memory goes; what its disk holds stays.
    pub fn die(&mut self) {
        self.process = Process::Dead;
        self.clients.clear();
        self.replicas.clear();
        self.link = MasterLink::never();
        self.election = None;
    }

    /// Start again: the cluster's view comes from nodes.conf, the data from the append-only file when there is one.
    /// An append-only file carries no replication id, so a replica then resynchronises in full (server.c,
    /// loadDataFromDisk: id and offset are taken from an RDB file only).
    pub fn boot(&mut self, persisted: bool, replication_id: u64) {
        self.process = Process::Running;
        self.life += 1;
        self.booted = Instant::now();
        if !persisted {
            self.store = Store::default();
        }
        self.offset = 0;
        self.replication_id = replication_id;
        self.state_ok = false;
        self.minority_since = None;
        self.view.forget_failures();
    }
}
