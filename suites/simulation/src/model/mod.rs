//! A model of a Redis Cluster: what the promise of the delivery code rests on, each rule with its source.
//!
//! In the flow: chat nodes connect to [`Redis`]'s servers over the simulated network and send the commands that
//! redis-rs sends; scenarios kill, pause, cut and migrate through the verbs here. Read [`server`] first, then
//! [`replication`], [`detector`], [`election`], [`view`], [`command`].
//!
//! Not modelled, and so not shown: gossip about third nodes, partial resynchronisation, back-pressure, memory, the
//! fsync window of the append-only file, expiry of keys, CPU. Times are plausible, not results.

pub mod command;
pub mod commands;
pub mod detector;
pub mod election;
pub mod migration;
pub mod replication;
pub mod resp;
pub mod server;
pub mod session;
pub mod slot;
pub mod state;
pub mod store;
pub mod stream;
pub mod verbs;
pub mod view;

#[cfg(test)]
mod failover_tests;

use std::future::Future;
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;
use tokio::time::{Duration, sleep};

pub use server::{Process, WaitRule};
pub use slot::{crc16, slot_of};
pub use state::Settings;

use crate::chance::Chance;
use crate::network::{Host, Net};
use crate::trace::Trace;
use state::State;

/// A running cluster. Dropping the last handle ends nothing: its tasks end with [`Redis::stop`] or the runtime.
#[derive(Clone)]
pub struct Redis {
    state: Arc<Mutex<State>>,
    net: Net,
    trace: Trace,
    tasks: Arc<Mutex<Vec<JoinSet<()>>>>,
    cron: Arc<Mutex<JoinSet<()>>>,
}

impl Redis {
    /// Start a formed cluster whose servers are hosts `first_host` and following.
    pub fn start(settings: Settings, first_host: u16, net: &Net, trace: &Trace, chance: &Chance) -> Redis {
        let state = State::formed(settings, first_host, net.clone(), trace.clone(), chance.fork("redis"));
        let count = state.servers.len();
        let redis = Redis {
            state: Arc::new(Mutex::new(state)),
            net: net.clone(),
            trace: trace.clone(),
            tasks: Arc::new(Mutex::new((0..count).map(|_| JoinSet::new()).collect())),
            cron: Arc::default(),
        };
        (0..count).for_each(|server| redis.run(server));
        let ticking = redis.clone();
        redis.cron.lock().expect("no panic inside the model").spawn(async move { ticking.tick_all(count).await });
        redis
    }

    pub fn stop(&self) {
        self.cron.lock().expect("no panic inside the model").abort_all();
        self.tasks.lock().expect("no panic inside the model").iter_mut().for_each(JoinSet::abort_all);
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().expect("no panic inside the model"))
    }

    fn host(&self, server: usize) -> Host {
        self.with(|state| state.servers[server].host)
    }

    /// A task of one server's process: it dies with the process.
    fn spawn(&self, server: usize, task: impl Future<Output = ()> + Send + 'static) {
        if self.with(|state| state.servers[server].process != Process::Dead) {
            let mut tasks = self.tasks.lock().expect("no panic inside the model");
            while tasks[server].try_join_next().is_some() {}
            tasks[server].spawn(task);
        }
    }

    /// The process' own tasks: accept clients, follow a primary.
    fn run(&self, server: usize) {
        let host = self.host(server);
        self.net.set_up(host, true);
        let mut clients = self.net.listen(host);
        let redis = self.clone();
        self.spawn(server, async move {
            while let Some((peer, stream)) = clients.recv().await {
                let serving = redis.clone();
                redis.spawn(server, async move { serving.serve(server, peer, stream).await });
            }
        });
        let redis = self.clone();
        self.spawn(server, async move { redis.replicate(server).await });
    }

    /// Every server's cron runs each 100 ms, each at its own phase.
    async fn tick_all(&self, count: usize) {
        let phases: Vec<_> = (0..count).map(|_| self.with(|state| state.chance.between(0, 9))).collect();
        for tick in 0u64.. {
            for (server, phase) in phases.iter().enumerate() {
                if tick % 10 == *phase {
                    self.with(|state| state.tick(server));
                    self.ask_for_votes(server);
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Wait while the process is paused; false when it is dead.
    async fn running(&self, server: usize) -> bool {
        loop {
            // One thread: nobody wakes it between the look and the wait.
            match self.process(server) {
                Process::Running => return true,
                Process::Dead => return false,
                Process::Paused => {
                    let woken = self.with(|state| state.servers[server].woken.clone());
                    woken.notified().await;
                }
            }
        }
    }
}
