//! Replication: a stream of effects with offsets from a primary to each attached replica, and acknowledgements back.
//!
//! Both directions are links of the simulated network, so a cut, a lag, a death and a pause do to them what they do to
//! TCP. Source: redis.io/docs/latest/operate/oss_and_stack/management/replication, Redis replication.c. Every
//! resynchronisation is a full one (partial ones give the same data sooner); a replica keeps its old data until the
//! new snapshot is there.

use std::sync::Arc;

use tokio::time::{Duration, Instant, sleep, timeout};

use super::Redis;
use super::state::State;
use super::store::{Effect, Store};
use super::view::Role;
use crate::network::{Receiver, Sender};

/// From a primary.
pub enum ToReplica {
    Snapshot {
        store: Box<Store>,
        offset: u64,
        replication_id: u64,
    },
    /// One command's effects, and the offset behind them.
    Effects {
        effects: Arc<[Effect]>,
        offset: u64,
    },
    /// `REPLCONF GETACK *`
    AskAck {
        offset: u64,
    },
    Ping {
        offset: u64,
    },
}

/// From a replica: `REPLCONF ACK <offset>`.
pub struct Ack(pub u64);

/// A replica as its primary sees it.
pub struct Attached {
    to: Sender<ToReplica>,
    /// Tells one attachment from the next of the same replica.
    number: u64,
    pub online: bool,
    pub acked: u64,
    pub last_ack: Instant,
}

impl Attached {
    pub fn feed(&self, offset: u64, effects: &Arc<[Effect]>) {
        self.to.send(ToReplica::Effects { effects: effects.clone(), offset });
    }
}

/// A primary as its replica sees it.
pub struct MasterLink {
    to: Option<Sender<Ack>>,
    pub syncing: bool,
    /// `None`: never since its start, or since it began to follow this one.
    pub down_since: Option<Instant>,
    pub last_io: Instant,
    last_ack: Instant,
}

impl MasterLink {
    pub fn never() -> MasterLink {
        let now = Instant::now();
        MasterLink { to: None, syncing: false, down_since: None, last_io: now, last_ack: now }
    }

    pub fn up(&self) -> bool {
        self.to.is_some() && !self.syncing
    }

    /// How old its data is at most; `None` when it never had any of this primary.
    /// Source: clusterHandleReplicaFailover, `data_age`.
    pub fn silent_for(&self) -> Option<Duration> {
        if self.up() { Some(self.last_io.elapsed()) } else { self.down_since.map(|since| since.elapsed()) }
    }
}

/// `REPLCONF GETACK *` and `PING`, as bytes of the replication stream (RESP: `*3\r\n$8\r\nREPLCONF\r\n…`).
const ASK_ACK_BYTES: u64 = 37;
const PING_BYTES: u64 = 14;

impl State {
    /// `me` becomes a replica of `master`: whoever waits is unblocked (mostly), replicas are cut off, the link begins anew.
    /// Source: replicationSetMaster (disconnectAllBlockedClients, disconnectReplicas, `repl_down_since = 0`).
    pub fn follow(&mut self, me: usize, master: usize) {
        self.trace.tell(format!("redis-{} follows redis-{}", me + 1, master + 1));
        let server = &mut self.servers[me];
        server.view.peers[me].role = Role::ReplicaOf(master);
        server.view.peers[me].config_epoch = server.view.peers[master].config_epoch;
        server.demotions += 1;
        server.replicas.clear();
        server.link = MasterLink::never();
        server.election = None;
        server.migrating.clear();
        server.importing.clear();
        server.acked.notify_waiters();
        server.role_changed.notify_waiters();
    }

    /// Part of the cron: a primary pings its replicas, a replica acknowledges unasked once a second, whoever is silent for
    /// too long is given up. Source: replicationCron.
    pub fn ping_replicas(&mut self, me: usize) {
        let (period, timeout) = (self.settings.repl_ping, self.settings.repl_timeout());
        let server = &mut self.servers[me];
        if let Some(to) = server.link.to.as_ref().filter(|_| !server.link.syncing)
            && server.link.last_ack.elapsed() >= Duration::from_secs(1)
        {
            to.send(Ack(server.offset));
            server.link.last_ack = Instant::now();
        }
        let due = server.booted.elapsed().as_millis() / period.as_millis().max(1);
        let before = server.booted.elapsed().saturating_sub(Duration::from_millis(100)).as_millis();
        if server.is_primary() && !server.replicas.is_empty() && due != before / period.as_millis().max(1) {
            server.offset += PING_BYTES;
            let offset = server.offset;
            server.replicas.values().for_each(|replica| replica.to.send(ToReplica::Ping { offset }));
        }
        server.replicas.retain(|_, replica| replica.last_ack.elapsed() < timeout);
    }

    /// WAIT asks every replica for its offset.
    pub fn ask_acks(&mut self, me: usize) {
        let server = &mut self.servers[me];
        if !server.replicas.is_empty() {
            server.offset += ASK_ACK_BYTES;
            let offset = server.offset;
            server.replicas.values().for_each(|replica| replica.to.send(ToReplica::AskAck { offset }));
        }
    }

    /// An acknowledgement may come late: the highest counts.
    fn take_ack(&mut self, primary: usize, replica: usize, number: u64, offset: u64) -> bool {
        let server = &mut self.servers[primary];
        let Some(attached) = server.replicas.get_mut(&replica).filter(|attached| attached.number == number) else {
            return false;
        };
        attached.acked = attached.acked.max(offset);
        attached.online = true;
        attached.last_ack = Instant::now();
        server.acked.notify_waiters();
        true
    }

    /// What a replica does with a frame of its primary.
    fn take_frame(&mut self, me: usize, frame: ToReplica) {
        let server = &mut self.servers[me];
        server.link.last_io = Instant::now();
        let mut ack = false;
        match frame {
            ToReplica::Snapshot { store, offset, replication_id } => {
                server.store = *store;
                (server.offset, server.replication_id) = (offset, replication_id);
                (server.link.syncing, server.link.down_since) = (false, None);
                ack = true;
            }
            ToReplica::Effects { effects, offset } => {
                effects.iter().for_each(|effect| server.store.apply(effect));
                server.offset = offset;
            }
            ToReplica::AskAck { offset } => {
                // It acknowledges what stood before the question (measured: 7.0 then answers a read's WAIT with 0).
                if let Some(to) = server.link.to.as_ref() {
                    to.send(Ack(server.offset));
                    server.link.last_ack = Instant::now();
                }
                server.offset = offset;
            }
            ToReplica::Ping { offset } => server.offset = offset,
        }
        if let Some(to) = server.link.to.as_ref().filter(|_| ack) {
            to.send(Ack(server.offset));
            server.link.last_ack = Instant::now();
        }
    }

    fn lose_master(&mut self, me: usize) {
        let server = &mut self.servers[me];
        if server.link.up() {
            server.link.down_since = Some(Instant::now());
        }
        (server.link.to, server.link.syncing) = (None, false);
    }
}

impl Redis {
    /// A replica's whole life: connect, synchronise, apply, and again. Ends with its process.
    pub(super) async fn replicate(&self, me: usize) {
        loop {
            self.running(me).await;
            let role_changed = self.with(|state| state.servers[me].role_changed.clone());
            let changed = role_changed.notified();
            let Some(master) = self.with(|state| state.servers[me].master()) else {
                changed.await;
                continue;
            };
            tokio::select! {
                biased;
                () = changed => {}
                () = self.replicate_from(me, master) => {
                    self.with(|state| state.lose_master(me));
                    // replicationCron runs once a second, and tries then.
                    let wait = self.with(|state| state.chance.between(100, 1000));
                    sleep(Duration::from_millis(wait)).await;
                }
            }
        }
    }

    async fn replicate_from(&self, me: usize, master: usize) {
        let (from, to) = self.with(|state| (state.servers[me].host, state.servers[master].host));
        let connect = self.net.connect_typed::<Ack, ToReplica>(from, to);
        // replicationCron: `repl_transfer_lastio`, while connecting as well as later.
        let patience = self.with(|state| state.settings.repl_timeout());
        let Ok(Ok(((acks, mut frames), (feed, received)))) = timeout(patience, connect).await else { return };
        let redis = self.clone();
        self.spawn(master, async move { redis.feed(master, me, feed, received).await });
        self.with(|state| {
            let link = &mut state.servers[me].link;
            (link.to, link.syncing) = (Some(acks), true);
        });
        while let Ok(Some(frame)) = timeout(patience, frames.recv()).await {
            self.running(me).await;
            self.with(|state| state.take_frame(me, frame));
        }
        self.running(me).await;
    }

    /// The primary's end of one attachment.
    async fn feed(&self, me: usize, replica: usize, to: Sender<ToReplica>, mut acks: Receiver<Ack>) {
        self.running(me).await;
        // The snapshot is of the moment when it is sent; making and loading it takes a while: chosen, since it depends on
        // how much there is.
        let wait = self.with(|state| state.chance.between(5, 300));
        sleep(Duration::from_millis(wait)).await;
        self.running(me).await;
        let number = self.with(|state| {
            let number = state.chance.draw();
            let server = &mut state.servers[me];
            if !server.is_primary() {
                return None;
            }
            let store = Box::new(server.store.clone());
            to.send(ToReplica::Snapshot { store, offset: server.offset, replication_id: server.replication_id });
            let now = Instant::now();
            server.replicas.insert(replica, Attached { to, number, online: false, acked: 0, last_ack: now });
            Some(number)
        });
        let Some(number) = number else { return };
        while let Some(Ack(offset)) = acks.recv().await {
            self.running(me).await;
            if !self.with(|state| state.take_ack(me, replica, number, offset)) {
                return;
            }
        }
        self.running(me).await;
        self.with(|state| {
            state.servers[me].replicas.retain(|_, attached| attached.number != number);
            state.servers[me].acked.notify_waiters();
        });
    }
}
