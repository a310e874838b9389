//! Play a plan and judge what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use chaos_checkers::{Contract, Question, Rule, State, Verdict, judge};
use system_delivery::{Config, Election, RedisAddress};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use super::client::Client;
use super::edge::SimEdge;
use super::hosts::{CLIENTS, NODES, READER, REDIS};
use super::inject::{Stage, slot_of_room, stream_of};
use super::node::Node;
use super::panics;
use super::phase::{Phase, Phases};
use super::plan::Plan;
use super::record::Ledger;
use crate::model::Redis;
use crate::network::Host;
use crate::sim::{Sim, run};

/// How long everything may take to be acked after healing: chosen, three append deadlines.
const DRAIN: Duration = Duration::from_secs(90);

/// What one seed came to.
pub struct Report {
    pub plan: Plan,
    pub verdict: Verdict,
    /// Every message was acked in the end, and every room could be read.
    pub drained: bool,
    pub hash: u64,
    pub events: u64,
    pub promotions: u64,
    /// Elections that got no votes.
    pub failed_elections: u64,
    /// Writes that a primary took which had been replaced before their connection was made.
    pub stray_writes: u64,
    /// Tasks of this world that panicked. Whatever they were to do was not done.
    pub panics: u64,
    /// Scripts that the model could not carry out.
    pub unmodelled: u64,
    /// Entries that were trimmed, by the log itself or by an operator.
    pub trimmed: u64,
    /// Attempts that were refused.
    pub refusals: u64,
    /// How often each kind of fault found its target.
    pub happened: BTreeMap<&'static str, u64>,
    /// How long the world lasted, milliseconds of its own.
    pub lasted_ms: u64,
    pub story: Vec<String>,
}

impl Report {
    /// The safety rules that failed.
    pub fn violated(&self) -> Vec<Rule> {
        self.verdict.failed().collect()
    }

    pub fn good(&self) -> bool {
        self.sound() && self.violated().is_empty() && self.unknown().is_empty()
    }

    /// Whether its verdict says anything: a world in which nothing was said and heard, which was never read whole or of
    /// which a part fell out, proves nothing, neither that a rule holds nor that one is broken.
    pub fn sound(&self) -> bool {
        self.drained && self.spoke() && self.panics == 0 && self.unmodelled == 0
    }

    /// The rules of which the judge could not say whether they hold.
    pub fn unknown(&self) -> Vec<Rule> {
        let unknown = self.verdict.rules.iter().filter(|(_, result)| matches!(result.state, State::Unknown(_)));
        unknown.map(|(rule, _)| *rule).collect()
    }

    fn spoke(&self) -> bool {
        self.verdict.numbers.acked > 0 && self.verdict.numbers.received > 0
    }

    /// The last line of a run: what two runs of one seed must share.
    pub fn line(&self) -> String {
        let numbers = &self.verdict.numbers;
        let words = |rules: Vec<Rule>| rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let (violated, unknown) = (words(self.violated()), words(self.unknown()));
        let outcome = if self.panics > 0 {
            format!("panicked in {} tasks", self.panics)
        } else if self.unmodelled > 0 {
            format!("ran {} scripts that the model lacks", self.unmodelled)
        } else if !self.drained {
            // Without a whole final read the rest of the verdict says nothing.
            "never drained".to_owned()
        } else if !self.spoke() {
            "was silent".to_owned()
        } else if !violated.is_empty() {
            format!("violates {violated}")
        } else if !unknown.is_empty() {
            format!("leaves open {unknown}")
        } else {
            "good".to_owned()
        };
        format!(
            "seed {} {outcome}: {} acked, {} received, {} resumed, {} promotions, {} events, hash {:016x}",
            self.plan.seed, numbers.acked, numbers.received, numbers.resumed, self.promotions, self.events, self.hash
        )
    }
}

/// The whole life of a world.
pub fn play(plan: &Plan, telling: bool) -> Report {
    panics::forget();
    let mut report = run(plan.seed, telling, |sim| async move { World::build(plan, sim).play(plan).await });
    // Counted when every task is gone.
    report.panics = panics::seen();
    report
}

struct World {
    stage: Stage,
    ledger: Ledger,
    phases: Phases,
    clients: JoinSet<bool>,
}

impl World {
    fn build(plan: &Plan, sim: Sim) -> World {
        sim.net.set_jitter(plan.jitter.0, plan.jitter.1);
        let rooms: Vec<_> = (0..plan.rooms).map(super::plan::room).collect();
        let mut settings = plan.redis.clone();
        settings.single_slots.extend(rooms.iter().map(slot_of_room).collect::<BTreeSet<_>>());
        let epoch_ms = settings.epoch_ms;
        let redis = Redis::start(settings, REDIS, &sim.net, &sim.trace, &sim.chance);
        let config = config(plan, &redis);
        let node = |index: usize| {
            let chance = Arc::new(Mutex::new(sim.chance.fork(&format!("node {index}"))));
            let edge =
                SimEdge { host: Host(NODES + index as u16), sim: sim.clone(), redis: redis.clone(), epoch_ms, chance };
            Node::start(format!("chat-{}", index + 1), edge, config.clone())
        };
        let nodes = (0..plan.nodes).map(node).collect();
        let ledger = Ledger::new(&sim.trace);
        let phases = Phases::begin();
        sim.net.set_up(READER, true);
        let (rooms, happened) = (Arc::new(rooms), Arc::default());
        let clients = (0..plan.clients).map(|index| Host(CLIENTS + index as u16)).collect();
        let stage = Stage { sim, redis, nodes, clients, rooms, ledger: ledger.clone(), happened };
        World { stage, ledger, phases, clients: JoinSet::new() }
    }

    async fn play(mut self, plan: &Plan) -> Report {
        self.populate(plan);
        let mut faults = JoinSet::new();
        for planned in plan.faults.clone() {
            let stage = self.stage.clone();
            faults.spawn(async move { stage.carry_out(planned).await });
        }
        sleep(Duration::from_millis(plan.chat_ms)).await;
        faults.shutdown().await;
        self.stage.heal();
        self.stage.revive().await;
        let drained = self.drain().await && self.stage.read_all().await;
        self.judge(plan, drained)
    }

    fn populate(&mut self, plan: &Plan) {
        for index in 0..plan.clients {
            let name = format!("u{}", index + 1);
            let mut chance = self.stage.sim.chance.fork(&name);
            let mut rooms = self.stage.rooms.to_vec();
            chance.shuffle(&mut rooms);
            let rooms = rooms.into_iter().take(plan.rooms_per_client).collect();
            let host = self.stage.clients[index];
            self.stage.sim.net.set_up(host, true);
            let at_node = index % self.stage.nodes.len();
            let (net, nodes, ledger) = (self.stage.sim.net.clone(), self.stage.nodes.clone(), self.ledger.clone());
            let (mut manners, phases) = (plan.manners.clone(), self.phases.clone());
            if plan.silent_node == Some(at_node) {
                manners.pace = (3_600_000, 3_600_000);
            }
            let client = Client::new(name, host, net, nodes, ledger, chance, manners, phases, rooms, at_node);
            self.clients.spawn(client.run());
        }
    }

    /// Nothing new is said; what is under way is sent until it is acked, and members catch up.
    async fn drain(&mut self) -> bool {
        self.phases.set(Phase::Drain);
        let began = Instant::now();
        let mut quiet = 0;
        let mut before = self.ledger.noted();
        while began.elapsed() < DRAIN && quiet < 6 {
            sleep(Duration::from_millis(500)).await;
            let pending = self.stage.nodes.iter().any(|node| node.pending() > 0);
            let now = self.ledger.noted();
            quiet = if pending || now != before { 0 } else { quiet + 1 };
            before = now;
        }
        self.phases.set(Phase::Stop);
        let mut acked = true;
        while let Some(done) = self.clients.join_next().await {
            acked &= done.is_ok_and(|done| done);
        }
        acked && quiet >= 6
    }

    fn judge(self, plan: &Plan, drained: bool) -> Report {
        let mut question = Question::of(Contract::AckedIsDurable);
        question.history_window_ms = plan.promised_window().as_millis() as u64;
        let refusals = self.ledger.refusals();
        let verdict = judge(&self.ledger.take_history(), &question);
        let trace = &self.stage.sim.trace;
        let (hash, events, story) = (trace.hash(), trace.events(), trace.lines());
        let (promotions, failed_elections) = (self.stage.redis.promotions(), self.stage.redis.failed_elections());
        let (stray_writes, unmodelled) = (self.stage.redis.stray_writes(), self.stage.redis.unmodelled());
        let of_room = |room| self.stage.redis.trimmed(&stream_of(room)).len() as u64;
        let trimmed = self.stage.rooms.iter().map(of_room).sum();
        let (happened, lasted_ms) =
            (self.stage.happened.lock().expect("no panic while counting").clone(), trace.now_ms());
        self.stage.redis.stop();
        Report {
            plan: plan.clone(),
            verdict,
            drained,
            hash,
            events,
            promotions,
            failed_elections,
            stray_writes,
            panics: 0,
            unmodelled,
            trimmed,
            refusals,
            happened,
            lasted_ms,
            story,
        }
    }
}

fn config(plan: &Plan, redis: &Redis) -> Config {
    let address = |server: usize| {
        let (ip, port) = redis.address_of(server);
        RedisAddress::new(&ip, port)
    };
    let mut config = Config::new((0..redis.count()).map(address).collect());
    config.fence = plan.fence;
    config.topology = Duration::from_millis(plan.topology_ms);
    (config.page, config.batch) = (plan.page, plan.batch);
    (config.history_window, config.trim, config.room_length) = (plan.history_window, plan.trim, plan.room_length);
    config.election = Election {
        node_timeout: plan.redis.node_timeout,
        validity_factor: plan.redis.validity_factor,
        repl_ping: plan.redis.repl_ping,
    };
    #[cfg(debug_assertions)]
    {
        config.broken = plan.broken.parse().expect("known switches");
    }
    config
}

/// Examples of what was violated, for people.
pub fn anomalies(verdict: &Verdict) -> Vec<String> {
    let mut lines = Vec::new();
    for (rule, result) in &verdict.rules {
        for example in &result.examples {
            let fields = [&example.message, &example.room, &example.sender, &example.member, &example.node];
            let fields: Vec<_> = fields.into_iter().flatten().cloned().collect();
            lines.push(format!("{rule} {}: {} ({})", example.kind, fields.join(" "), example.detail));
        }
    }
    lines
}

/// How often each rule was looked at, over many reports.
pub fn examined(verdict: &Verdict) -> BTreeMap<Rule, u64> {
    verdict.rules.iter().map(|(rule, result)| (*rule, result.examined)).collect()
}
