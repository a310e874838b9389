//! Where scenarios play: a cluster that is formed, level and alone ours, and the record of what happens on it.
//!
//! Deliberately absent: what a scenario does. It calls the verbs of the cluster, of the faults and of the load; those
//! here only add the record, and that what fails fails the test with its reason.

use std::time::{Duration, Instant};

use chaos_cluster::{Cluster, LinkEnd, LinkKind, LinkState, Server, slot_of_room};
use chaos_faults::{HealList, Inject, Injected, Scene};
use chaos_observe::{Clock, Recorder, SpanStore, spans::Receiver};
use chaos_workload::{FanOut, Load, Node, Targets};
use tempfile::TempDir;
use tokio::sync::MutexGuard;

use crate::{
    wait::{PATIENCE, eventually},
    warm::{self, Set, fresh_seed, ground},
};

/// A cluster that is formed, level and alone ours, and the record of what is about to happen on it.
pub(crate) struct Stage {
    cluster: MutexGuard<'static, Option<Cluster>>,
    pub(crate) seed: u64,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) spans: SpanStore,
    pub(crate) directory: TempDir,
    pub(crate) faults: Vec<Injected>,
    heal_list: HealList,
    targets: Targets,
    pub(crate) collector: Option<Receiver>,
}

impl Stage {
    pub(crate) async fn set(set: Set) -> Stage {
        let seed = fresh_seed();
        // Before anything else: the turn. What it waits for are other scenarios.
        let mut warm = warm::turn().await;
        let began = Instant::now();
        let directory = tempfile::tempdir_in(ground()).expect("a directory of its own");
        let spans = SpanStore::create(&directory.path().join("spans.jsonl")).expect("a file for spans");
        let collector = if set.traces {
            Some(Receiver::start(spans.clone(), None).await.expect("a port on loopback"))
        } else {
            None
        };
        let how = warm::prepare(&mut warm, &set, collector.as_ref().map(Receiver::endpoint)).await;
        let cluster = warm.as_ref().expect("it was just prepared");
        eprintln!("stage: {how} in {:.1?}: {}, seed {seed}", began.elapsed(), cluster.engine());
        let urls = cluster.chat_urls();
        let nodes = urls
            .iter()
            .zip(1..)
            .map(|(url, nth)| Node { name: Server::Chat(nth).to_string(), url: url.replacen("http", "ws", 1) });
        let recorder = Recorder::create(&directory.path().join("history.jsonl")).expect("a file for the history");
        Stage {
            targets: Targets::new(nodes.collect()),
            seed,
            clock: Clock::start(),
            recorder,
            spans,
            faults: Vec::new(),
            heal_list: HealList::create(directory.path()).expect("a file for the heal list"),
            directory,
            cluster: warm,
            collector,
        }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().unwrap_or_else(|| unreachable!("a stage has a cluster"))
    }

    pub(crate) fn targets(&self) -> Targets {
        self.targets.clone()
    }

    /// `host:port` of a chat node, counted from 1.
    pub(crate) fn node(&self, nth: usize) -> &str {
        self.targets.nodes[nth - 1].url.trim_start_matches("ws://")
    }

    /// A load that is steady: everyone joined, acks and deliveries within `bound`.
    pub(crate) async fn steady(&self, load: &FanOut, bound: Duration) -> Load {
        self.steady_on(load, bound, self.targets()).await
    }

    pub(crate) async fn steady_on(&self, load: &FanOut, bound: Duration, targets: Targets) -> Load {
        let load = load.start(targets, self.seed, self.clock, self.recorder.clone(), self.spans.clone()).await;
        let load = load.unwrap_or_else(|error| panic!("{error}"));
        let steady = load.steady(Duration::from_millis(500), bound, PATIENCE).await;
        steady.unwrap_or_else(|error| panic!("{error}\n{}", self.logs()));
        load
    }

    /// Injects a fault; it is healed and its evidence asked for when the scenario closes, or before.
    pub(crate) async fn inject(&mut self, fault: Inject, load: Option<&Load>) -> usize {
        let scene = self.scene(load);
        let (kind, id) = (fault.kind(), format!("{}", self.faults.len() + 1));
        let injected = fault.inject(&id, &scene).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
        eprintln!("{}: {kind} of {}", self.clock.now(), injected.target);
        self.faults.push(injected);
        self.faults.len() - 1
    }

    /// Looks for the fault's evidence once more, then undoes it.
    pub(crate) async fn heal(&mut self, fault: usize) {
        let mut injected = std::mem::take(&mut self.faults);
        let scene = self.scene(None);
        injected[fault].prove(&scene).await;
        let healed = injected[fault].heal(&scene).await;
        healed.unwrap_or_else(|error| panic!("heal {}: {error}", injected[fault].kind()));
        eprintln!("{}: {} healed: {}", self.clock.now(), injected[fault].kind(), seen(&injected[fault]));
        self.faults = injected;
    }

    fn scene(&self, load: Option<&Load>) -> Scene<'_> {
        let busiest_slot = load.map(|load| slot_of_room(&load.busiest_room()));
        Scene { cluster: self.cluster(), clock: &self.clock, heal_list: &self.heal_list, busiest_slot }
    }

    pub(crate) async fn primary_of(&self, room: &str) -> Server {
        let primary = self.cluster().primary_of_slot(slot_of_room(room)).await;
        primary.unwrap_or_else(|error| panic!("primary of {room}: {error}"))
    }

    pub(crate) async fn replicas_of(&self, primary: Server) -> Vec<Server> {
        self.cluster().view().await.replicas_of(primary)
    }

    pub(crate) fn redis_but(&self, these: &[Server]) -> Vec<Server> {
        let servers = self.cluster().servers().into_iter();
        servers.filter(|server| server.is_redis() && !these.contains(server)).collect()
    }

    /// Cuts the links between the two groups, both ways.
    pub(crate) fn cut(&self, these: &[Server], those: &[Server], kinds: &[LinkKind]) {
        let links = self.cluster().links();
        for (one, other) in these.iter().flat_map(|one| those.iter().map(move |other| (*one, *other))) {
            for kind in kinds {
                links.set(end(one), end(other), *kind, LinkState::CUT);
                links.set(end(other), end(one), *kind, LinkState::CUT);
            }
        }
    }

    /// Delays replication from one node to another.
    pub(crate) fn delay(&self, from: Server, to: Server, delay: Duration) {
        self.cluster().links().set(end(from), end(to), LinkKind::Replication, LinkState::delayed(delay));
    }

    /// Waits until another node is primary of the room.
    pub(crate) async fn until_replaced(&self, primary: Server, room: &str) -> Server {
        self.until_replaced_at(primary, slot_of_room(room)).await
    }

    pub(crate) async fn until_replaced_at(&self, primary: Server, slot: u16) -> Server {
        let replaced = async || {
            let now = self.cluster().primary_of_slot(slot).await.ok();
            now.filter(|now| *now != primary)
        };
        let successor = eventually(&format!("a successor of {primary}"), replaced).await;
        eprintln!("{}: {successor} took over from {primary}", self.clock.now());
        successor
    }

    /// Waits until messages that are due from now on are acked in every room.
    pub(crate) async fn until_acked_everywhere(&self, load: &Load) {
        let now = self.clock.now();
        let acked = async || load.rooms_without_ack_since(now).is_empty().then_some(());
        eventually("acks in every room", acked).await;
    }

    /// The last lines of every chat node.
    pub(crate) fn logs(&self) -> String {
        let cluster = self.cluster();
        let chat = cluster.servers().into_iter().filter(|server| !server.is_redis());
        let tails: Vec<_> = chat.map(|server| format!("{server}:\n{}", cluster.log_tail(server, 5))).collect();
        tails.join("\n")
    }
}

fn end(server: Server) -> LinkEnd {
    LinkEnd::Redis(server.number())
}

pub(crate) fn seen(fault: &Injected) -> String {
    let seen: Vec<&str> = fault.evidence.iter().map(|evidence| evidence.seen.as_str()).collect();
    seen.join("; ")
}
