//! Asks every known node, over connections of its own, what the cluster looks like, and publishes what comes of it.
//!
//! One asker per node, every 200 ms and whenever something went wrong. Nodes that others name are asked too; seeds are
//! asked for ever, so a log that starts before Redis finds it later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::config::Election;
use crate::connection::{Link, LinkError};
use crate::edge::{Edge, RedisAddress};
use crate::replies;
use crate::shards::Shared;
use crate::topology::{self, Topology};
use crate::view::{NodeId, View};

/// Even when everybody asks for news, a node is asked no more often than this.
const BREATH: Duration = Duration::from_millis(50);
/// A node that nobody has listed for this long is forgotten.
const FORGET: Duration = Duration::from_secs(5);

struct Answer {
    view: Arc<View>,
    election: Option<Election>,
}

pub(crate) struct Resolver<E: Edge> {
    shared: Arc<Shared<E>>,
    views: BTreeMap<NodeId, Arc<View>>,
    election: Election,
    askers: BTreeMap<RedisAddress, AbortHandle>,
    tasks: JoinSet<()>,
    answers: mpsc::UnboundedReceiver<Answer>,
    answer: mpsc::UnboundedSender<Answer>,
}

impl<E: Edge> Resolver<E> {
    pub(crate) fn new(shared: Arc<Shared<E>>) -> Self {
        let (answer, answers) = mpsc::unbounded_channel();
        let election = shared.config.election;
        let (views, askers) = (BTreeMap::new(), BTreeMap::new());
        let mut resolver = Resolver { shared, views, election, askers, tasks: JoinSet::new(), answers, answer };
        resolver.ask_all_known();
        resolver
    }

    /// The next state of the cluster, after some node answered.
    pub(crate) async fn next(&mut self) -> Topology {
        if let Some(answer) = self.answers.recv().await {
            self.election = answer.election.unwrap_or(self.election);
            self.views.insert(answer.view.me.clone(), answer.view);
        }
        self.forget_unlisted();
        let before = self.shared.now_topology();
        let topology = topology::decide(&before, self.views.clone(), self.election, &self.shared.rules);
        if !topology.decided_as(&before) {
            self.ask_all_known();
        }
        topology
    }

    fn forget_unlisted(&mut self) {
        let now = Instant::now();
        let is_recent = |view: &Arc<View>| now - view.asked < FORGET;
        // Who answers lists itself.
        if self.views.values().all(is_recent) {
            return;
        }
        let recent: Vec<_> = self.views.values().filter(|view| is_recent(view)).cloned().collect();
        self.views.retain(|id, _| recent.is_empty() || recent.iter().any(|view| view.nodes.contains_key(id)));
    }

    fn ask_all_known(&mut self) {
        let mut known: BTreeSet<RedisAddress> = self.shared.config.nodes.iter().cloned().collect();
        known.extend(self.views.values().flat_map(|view| view.nodes.values()).filter_map(|line| line.address.clone()));
        self.askers.retain(|address, asker| {
            known.contains(address) || {
                asker.abort();
                self.shared.silences.broken(address);
                false
            }
        });
        for address in known {
            if !self.askers.contains_key(&address) {
                let asker = Asker {
                    shared: self.shared.clone(),
                    address: address.clone(),
                    election: None,
                    aliases: Vec::new(),
                    last: None,
                };
                let asker = self.tasks.spawn(asker.run(self.answer.clone()));
                self.askers.insert(address, asker);
            }
        }
        while self.tasks.try_join_next().is_some() {}
    }
}

struct Asker<E: Edge> {
    shared: Arc<Shared<E>>,
    address: RedisAddress,
    election: Option<Election>,
    aliases: Vec<(String, u16)>,
    /// Its last answer.
    last: Option<Arc<View>>,
}

impl<E: Edge> Asker<E> {
    async fn run(mut self, answers: mpsc::UnboundedSender<Answer>) {
        let mut kicks = self.shared.kicks.subscribe();
        let mut link = None;
        loop {
            kicks.skip();
            let asked = Instant::now();
            match self.ask(&mut link).await {
                Ok(view) => {
                    self.shared.silences.broken(&self.address);
                    let _ = answers.send(Answer { view, election: self.election });
                }
                Err(error) => {
                    self.complain(&error);
                    link = None;
                }
            }
            tokio::select! {
                biased;
                () = sleep_until(asked + self.shared.config.topology) => {}
                () = kicks.changed() => sleep_until(asked + BREATH).await,
            }
        }
    }

    /// Once for each cause: what waiting will not mend, and whatever keeps a node from ever finding its cluster.
    fn complain(&self, error: &LinkError) {
        let news = self.shared.silences.note(&self.address, error);
        if news && (error.is_misfit() || self.shared.now_topology().shards.is_empty()) {
            tracing::warn!(target: "holdfast", %error, "a redis node did not say what the cluster looks like");
        } else {
            tracing::debug!(target: "holdfast", %error, "a redis node did not say what the cluster looks like");
        }
    }

    async fn ask(&mut self, link: &mut Option<Link>) -> Result<Arc<View>, LinkError> {
        if link.is_none() {
            let mut fresh = Link::open(&self.shared.edge, &self.shared.config, &self.address).await?;
            self.read_settings(&mut fresh).await?;
            *link = Some(fresh);
        }
        let Some(link) = link else { unreachable!("a link was just opened") };
        let asked = Instant::now();
        let mut questions = redis::pipe();
        questions.cmd("CLUSTER").arg("NODES");
        questions.cmd("INFO").arg("replication");
        let answers = link.ask(&questions).await?;
        let text = |at: usize| match answers.get(at) {
            Some(Value::ServerError(error)) => Err(link.refuses(error)),
            other => other.and_then(replies::text).ok_or_else(|| link.nonsense("no text to CLUSTER NODES or INFO")),
        };
        let (nodes, info) = (text(0)?, text(1)?);
        let view = match &self.last {
            Some(last) => last.read_again(asked, &self.address, nodes, info),
            None => View::read(asked, &self.address, nodes, info),
        };
        let mut view = view.ok_or_else(|| link.nonsense("CLUSTER NODES without the node itself"))?;
        view.aliases.clone_from(&self.aliases);
        let view = Arc::new(view);
        self.last = Some(view.clone());
        Ok(view)
    }

    /// What elections depend on, and under which address the node reaches its primary. A server that does not allow
    /// CONFIG leaves us with the configured values.
    async fn read_settings(&mut self, link: &mut Link) -> Result<(), LinkError> {
        let names = [
            "cluster-node-timeout",
            "cluster-replica-validity-factor",
            "repl-ping-replica-period",
            "replica-announce-ip",
            "replica-announce-port",
            "bind-source-addr",
            "port",
        ];
        let mut question = redis::pipe();
        for name in names {
            question.cmd("CONFIG").arg("GET").arg(name);
        }
        let answers = link.ask(&question).await?;
        let value = |at: usize| setting(answers.get(at)?);
        let number = |at: usize| value(at).and_then(|text| text.parse::<u32>().ok());
        if let (Some(timeout), Some(validity_factor), Some(ping)) = (number(0), number(1), number(2)) {
            let node_timeout = Duration::from_millis(timeout.into());
            let repl_ping = Duration::from_secs(ping.into());
            self.election = Some(Election { node_timeout, validity_factor, repl_ping });
        }
        let port = number(4).filter(|port| *port != 0).or(number(6)).and_then(|port| u16::try_from(port).ok());
        let hosts = [value(3), value(5)].into_iter().flatten().filter(|host| !host.is_empty());
        self.aliases = port.map_or_else(Vec::new, |port| hosts.map(|host| (host.to_owned(), port)).collect());
        Ok(())
    }
}

/// The one value that `CONFIG GET name` answers, as a map or as a flat list.
fn setting(value: &Value) -> Option<&str> {
    match value {
        Value::Map(pairs) => replies::text(&pairs.first()?.1),
        Value::Array(flat) => replies::text(flat.get(1)?),
        _ => None,
    }
}
