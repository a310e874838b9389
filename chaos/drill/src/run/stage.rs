//! Everything that is up during a run, and the waits that need no fault: boot, steady state, settling, canaries, drain,
//! final read.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chaos_checkers::NodeRoom;
use chaos_cluster::{Cluster, Options, Server, slot_of_room};
use chaos_faults::{HealList, Injected};
use chaos_observe::{
    At, Clock, Journal, Lag, Recorder, RunDir, SpanStore,
    journal::{Phase, What},
    spans::Receiver,
};
use chaos_workload::{Load, Node, Targets};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{Ended, Settings, chat, metrics, rate::Rate, shards::Shards, shown::shown, watch::Watch};
use crate::{
    deployment::Deployed, drill::Drill, error::RunError, live::Audience, planted::Planted, schedule::Schedule,
};

/// A message may be so late in a steady state.
const STEADY_BOUND: Duration = Duration::from_secs(1);
/// A system that is not steady by then never will be.
const STEADY_WITHIN: Duration = Duration::from_secs(20);
const DRAIN_WITHIN: Duration = Duration::from_secs(20);
const READ_WITHIN: Duration = Duration::from_secs(15);
/// Or longer, where a drill allows more for converging.
const CANARIES_WITHIN: Duration = Duration::from_secs(10);
const LIVE_EVERY: Duration = Duration::from_millis(500);

/// A fault that is on, or was.
pub(crate) struct Open {
    pub(crate) injected: Injected,
    /// `None`: when all others are healed.
    pub(crate) heal_at: Option<Instant>,
}

pub(crate) struct Stage<'r> {
    pub(crate) drill: &'r Drill,
    pub(crate) audience: &'r dyn Audience,
    pub(crate) dir: RunDir,
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    pub(crate) recorder: Recorder,
    pub(crate) spans: SpanStore,
    pub(crate) receiver: Receiver,
    pub(crate) lag: Lag,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) load: Load,
    pub(crate) watch: Watch,
    shards: Shards,
    pub(crate) heal_list: HealList,
    pub(crate) tasks: JoinSet<()>,
    /// Never taken out of here: an interrupt drops whatever is under way, and a fault must not go with it.
    pub(crate) open: tokio::sync::Mutex<Vec<Open>>,
    pub(crate) schedule: Schedule,
    /// What steps by the clock count from.
    pub(crate) began: At,
    pub(crate) busiest_slot: Option<u16>,
    /// How late a message may be in the steady state.
    steady_bound: Duration,
    rate: Mutex<Rate>,
}

impl<'r> Stage<'r> {
    /// Boots everything and lets the users gather.
    pub(crate) async fn up(
        settings: &'r Settings,
        dir: RunDir,
        audience: &'r dyn Audience,
    ) -> Result<Stage<'r>, RunError> {
        let drill = &settings.plan.drill;
        let plan = toml::to_string(&settings.plan).map_err(|error| RunError::record(&dir.plan(), error))?;
        dir.write("plan.toml", &plan)?;
        let clock = Clock::start();
        let journal = Journal::create(&dir.journal(), clock).map_err(harness)?;
        journal.phase(Phase::Boot, &drill.title);
        if drill.deployment.is_none() {
            audience.phase(Phase::Boot, Duration::from_secs(4));
        }
        let recorder = Recorder::create(&dir.history()).map_err(harness)?;
        let spans = SpanStore::create(&dir.spans()).map_err(harness)?;
        let receiver = Receiver::start(spans.clone(), settings.forward.as_deref()).await?;
        let heal_list = HealList::create(dir.path())?;
        let cluster = Arc::new(cluster(settings, &dir, receiver.endpoint()).await?);
        for line in cluster.swept() {
            journal.note(line);
            audience.note(None, line);
        }
        let lag = Lag::start(clock);
        let shards = Shards::of(cluster.view().await.shards());
        let (watch, mut tasks) = (Watch::new(shards.clone()), JoinSet::new());
        watch.start(&cluster, clock, journal.clone(), &mut tasks).await;
        metrics::start(metrics::nodes(&cluster), clock, &dir.metrics(), &mut tasks);
        let targets = targets(&cluster, settings, clock);
        let load = drill.workload.start(targets, drill.seed, clock, recorder.clone(), spans.clone());
        let load = load.await.map_err(harness)?;
        let schedule = Schedule { began_unix_ns: clock.unix_ns(At::default()), ..Schedule::default() };
        let (open, rate) = (tokio::sync::Mutex::default(), Mutex::new(Rate::new()));
        Ok(Stage {
            drill,
            audience,
            dir,
            clock,
            journal,
            recorder,
            spans,
            receiver,
            lag,
            cluster,
            load,
            watch,
            shards,
            heal_list,
            tasks,
            open,
            schedule,
            began: At::default(),
            busiest_slot: None,
            steady_bound: steady_bound(settings),
            rate,
        })
    }

    pub(crate) fn phase(&self, phase: Phase) {
        self.journal.phase(phase, "");
        self.audience.phase(phase, self.about(phase));
    }

    fn about(&self, phase: Phase) -> Duration {
        let drill = self.drill;
        match phase {
            Phase::Steady => drill.steady.get() + Duration::from_secs(1),
            Phase::Faults => crate::plan::faults_take(drill).get(),
            Phase::Heal => drill.settle.get() + Duration::from_secs(1),
            _ => Duration::from_secs(2),
        }
    }

    /// A line for whoever watches, and for the journal.
    pub(crate) fn note(&self, line: &str) {
        self.journal.note(line);
        let since = self.schedule.load_began.map(|began| self.clock.now().since(began));
        self.audience.note(since, line);
    }

    /// Does `work` with the live line kept up to date, also when one short piece of work follows another.
    pub(crate) async fn shown<T>(&self, work: impl Future<Output = T>) -> T {
        shown(|| self.rate().shown + LIVE_EVERY, || self.show(), work).await
    }

    fn rate(&self) -> MutexGuard<'_, Rate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self) {
        let counters = self.rate().counters(self.load.counts());
        self.audience.counters(&counters);
        let worst = self.lag.take_worst();
        if worst > Duration::from_millis(20) {
            self.journal.mark(What::Lag { worst_us: worst.as_micros() as u64 });
        }
    }

    pub(crate) async fn steady(&mut self) -> Result<(), Ended> {
        let hold = self.drill.steady.get();
        let steady = self.shown(self.load.steady(hold, self.steady_bound, STEADY_WITHIN)).await;
        steady.map_err(|not_yet| Ended::NeverSteady(not_yet.to_string()))?;
        // Booting nine servers on the same machine says nothing about how late the harness is.
        self.lag.reset();
        self.schedule.load_began = self.load.began();
        self.began = At(self.clock.now().0.saturating_sub(hold.as_micros() as u64));
        self.place_rooms().await?;
        self.store();
        Ok(())
    }

    /// Which shard each room lies on, and which room counts as the busiest: the one with the most sends when it lies on
    /// the busiest primary, else another there, so that both roles name the same node for the whole run.
    async fn place_rooms(&mut self) -> Result<(), Ended> {
        if !self.drill.has_log() {
            // No room has a place in Redis then.
            let carrier = self.cluster.primary_of_adapter().await.map_err(failed)?;
            let slots = self.cluster.view().await.slots_of(carrier);
            self.busiest_slot = slots.first().map(|(first, _)| *first);
            return Ok(());
        }
        let mut rooms = BTreeMap::new();
        for room in self.load.rooms() {
            let shard = self.shards.of_slot(slot_of_room(&room)).unwrap_or_default();
            rooms.insert(room, shard);
        }
        self.schedule.rooms = rooms;
        let busiest = self.cluster.busiest_primary().await.map_err(failed)?;
        let mut candidates = vec![self.load.busiest_room()];
        candidates.extend(self.load.rooms());
        for room in candidates {
            if self.cluster.primary_of_slot(slot_of_room(&room)).await.map_err(failed)? == busiest {
                self.busiest_slot = Some(slot_of_room(&room));
                break;
            }
        }
        Ok(())
    }

    /// The load goes on, so that what recovers late is seen.
    pub(crate) async fn settle(&self) {
        self.shown(sleep(self.drill.settle.get())).await;
    }

    /// From every node into every room, as soon as all is healed: how fast it converges has a budget.
    pub(crate) async fn canaries(&mut self) -> Result<(), Ended> {
        let within = CANARIES_WITHIN.max(self.drill.expect.converge_within.get());
        let unreached = self.load.canaries(within).await.map_err(failed)?;
        for pair in unreached {
            self.note(&format!("no canary could be sent from {} into {}", pair.node, pair.room));
            self.schedule.unreached.push(NodeRoom { node: pair.node, room: pair.room });
        }
        Ok(())
    }

    pub(crate) async fn drain(&mut self) {
        self.load.pause_sends();
        self.schedule.load_ended = Some(self.clock.now());
        let drained = self.shown(self.load.drain(DRAIN_WITHIN)).await;
        if let Err(not_yet) = drained {
            self.hole(not_yet.to_string());
        }
        if self.drill.has_log() {
            let nodes = metrics::nodes(&self.cluster);
            let pending = self.shown(metrics::nothing_pending(&nodes, self.clock, DRAIN_WITHIN)).await;
            if let Err(why) = pending {
                self.hole(why);
            }
        }
        self.store();
    }

    pub(crate) async fn final_read(&mut self) {
        for unread in self.shown(self.load.final_read(READ_WITHIN)).await {
            self.hole(unread.to_string());
        }
    }

    /// Something that keeps the record from being complete; the checkers see it in what is missing there.
    fn hole(&mut self, what: String) {
        self.note(&what);
        self.schedule.incomplete.push(what);
    }

    pub(crate) fn store(&self) {
        let stored = toml::to_string(&self.schedule).map(|text| self.dir.write("schedule.toml", &text));
        if !matches!(stored, Ok(Ok(_))) {
            self.journal.note("schedule.toml could not be written");
        }
    }
}

/// What a planted bug drops never comes, and must not keep the drill from showing where it went.
fn steady_bound(settings: &Settings) -> Duration {
    if settings.planted == Planted::default() { STEADY_BOUND } else { settings.plan.drill.longest.get() }
}

/// Booted, or what runs already.
async fn cluster(settings: &Settings, dir: &RunDir, otlp: &str) -> Result<Cluster, RunError> {
    let drill = &settings.plan.drill;
    let topology = chat::topology(settings, otlp);
    if let Some(Deployed { deployment, .. }) = &drill.deployment {
        // What was seen when it was planned may have changed; `$PATH` has not.
        let found = deployment.look(None).await.map_err(|wrong| harness(wrong.join("\n")))?;
        return Cluster::attach(deployment.clone(), found, topology.chat, &dir.logs()).await.map_err(harness);
    }
    let options = Options {
        engine: settings.engine.clone(),
        temp: settings.keep.then(|| dir.path().join("data")),
        logs: Some(dir.logs()),
        keep: settings.keep,
        containers: settings.containers.as_ref().map(|given| drill.system.in_containers(given)),
    };
    Cluster::start(topology, options).await.map_err(harness)
}

/// A deployment's nodes are reached by the names that its file gives them.
fn targets(cluster: &Cluster, settings: &Settings, clock: Clock) -> Targets {
    let deployed = settings.plan.drill.deployment.as_ref();
    let named = |server| deployed?.deployment.endpoint(server).map(ToString::to_string);
    let nodes = (1..=settings.plan.drill.cluster.chat_nodes).map(Server::Chat);
    let nodes = nodes.map(|server| {
        let place = named(server).unwrap_or_else(|| cluster.address(server).to_string());
        Node { name: server.to_string(), url: format!("ws://{place}") }
    });
    let mut targets = Targets::new(nodes.collect());
    targets.offsets = settings.plan.drill.has_log();
    if deployed.is_some() {
        // Its nodes would take a message of an earlier run with the same id for the same message.
        targets.run = format!("{:x}.", clock.unix_ns(At::default()) / 1_000_000);
    }
    targets.dialect = settings.plan.drill.system.dialect.clone().map(Arc::new);
    #[cfg(debug_assertions)]
    {
        targets.drop_received = settings.planted.drop_received;
    }
    targets
}

pub(crate) fn harness(error: impl std::fmt::Display) -> RunError {
    RunError::Harness(error.to_string())
}

pub(crate) fn failed(error: impl std::fmt::Display) -> Ended {
    Ended::Failed(error.to_string())
}
