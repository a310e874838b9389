//! What a cluster is asked: views, roles, single commands, and conditions to wait for.

use std::{collections::BTreeMap, net::SocketAddr, sync::PoisonError, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{Cluster, lock};
use crate::{
    ClusterError, RespValue, Server, View, Watcher, backend,
    look::{self, answers},
    resp,
};

/// A command that a hung server does not answer fails after this.
const ANSWER: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(25);
/// What the log of the reference node, its fence, and the stock adapters do to Redis.
const WRITES: [&str; 9] = ["fcall", "eval", "evalsha", "xadd", "set", "publish", "spublish", "pexpire", "xtrim"];

impl Cluster {
    /// Asks every Redis node at once, past the fault proxy. A hung node costs 0.3 s.
    pub async fn view(&self) -> View {
        look::at_all(&self.directory).await
    }

    /// Sends one command to one node, past the fault proxy. An error that Redis answers is an answer.
    pub async fn ask(&self, server: Server, command: &[&str]) -> Result<RespValue, ClusterError> {
        let silent = |why: String| ClusterError::Silent { server, command: command.join(" "), why };
        let address = self.direct_address(server);
        match timeout(ANSWER, resp::ask_once(address, self.directory.login.as_ref(), &[command])).await {
            Err(_) => Err(silent(format!("nothing within {ANSWER:?}"))),
            Ok(Err(error)) => Err(silent(error.to_string())),
            Ok(Ok(mut answers)) => answers.pop().ok_or_else(|| silent("no answer".to_owned())),
        }
    }

    /// Of a slot from 0 to 16383; the owner may be dead.
    pub async fn primary_of_slot(&self, slot: u16) -> Result<Server, ClusterError> {
        let view = self.view().await;
        view.primary_of_slot(slot)
            .ok_or_else(|| ClusterError::Nobody { what: format!("slot {slot}"), seen: view.to_string() })
    }

    /// Nodes that follow this one, dead ones too as far as anyone names them.
    pub async fn replicas_of(&self, primary: Server) -> Result<Vec<Server>, ClusterError> {
        let view = self.view().await;
        if view.answered().next().is_none() {
            return Err(ClusterError::Nobody { what: format!("a replica of {primary}"), seen: view.to_string() });
        }
        Ok(view.replicas_of(primary))
    }

    /// The primary that executed the most write calls since this was last asked, or since the cluster was formed.
    pub async fn busiest_primary(&self) -> Result<Server, ClusterError> {
        let now = self.write_calls().await;
        let before = std::mem::replace(&mut *lock(&self.writes), now.clone());
        let since = |(server, calls): &(&Server, &u64)| *calls - before.get(server).copied().unwrap_or(0).min(**calls);
        let busiest = now.iter().max_by_key(since).map(|(server, _)| *server);
        busiest.ok_or_else(|| ClusterError::Nobody {
            what: "the busiest primary".to_owned(),
            seen: "no primary answers".to_owned(),
        })
    }

    /// The primary that carries what chat nodes say to each other: the one with the most subscriptions, else the one that
    /// executed the most write calls.
    pub async fn primary_of_adapter(&self) -> Result<Server, ClusterError> {
        let mut subscribed = BTreeMap::new();
        for server in self.view().await.primaries() {
            if let Ok(RespValue::Text(clients)) = self.ask(server, &["CLIENT", "LIST", "TYPE", "PUBSUB"]).await {
                subscribed.insert(server, subscriptions(&clients));
            }
        }
        let writes = self.write_calls().await;
        let rank = |server: &Server| (subscribed.get(server).copied().unwrap_or(0), writes[server]);
        writes.keys().copied().max_by_key(rank).ok_or_else(|| ClusterError::Nobody {
            what: "the adapter's primary".to_owned(),
            seen: "no primary answers".to_owned(),
        })
    }

    /// Calls of commands that write or publish, of each primary that answers (INFO commandstats).
    pub async fn write_calls(&self) -> BTreeMap<Server, u64> {
        let mut calls = BTreeMap::new();
        for server in self.view().await.primaries() {
            if let Ok(RespValue::Text(info)) = self.ask(server, &["INFO", "commandstats"]).await {
                calls.insert(server, writes(&info));
            }
        }
        calls
    }

    /// Waits until the view satisfies the condition; a time-out tells the last view and the ends of the logs of nodes that
    /// did not answer.
    pub async fn wait_for(
        &self,
        what: &str,
        within: Duration,
        mut holds: impl FnMut(&View) -> bool + Send,
    ) -> Result<View, ClusterError> {
        self.wait_until(what, within, |view| (!holds(view)).then(String::new)).await
    }

    /// Until every node is ok and known to all, every replica attached and level.
    pub async fn wait_until_level(&self, within: Duration) -> Result<View, ClusterError> {
        self.wait_until("a level cluster", within, View::unlevel).await
    }

    /// `missing` says what is not yet so.
    pub(super) async fn wait_until(
        &self,
        what: &str,
        within: Duration,
        mut missing: impl FnMut(&View) -> Option<String> + Send,
    ) -> Result<View, ClusterError> {
        let until = Instant::now() + within;
        loop {
            let view = self.view().await;
            let Some(why) = missing(&view) else { return Ok(view) };
            if Instant::now() > until {
                return Err(self.timed_out(what, within, &view, &why));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    pub(super) fn timed_out(&self, what: &str, within: Duration, view: &View, why: &str) -> ClusterError {
        let silent = view.nodes.keys().filter(|server| view.node(**server).is_none());
        let logs = silent.map(|server| backend::evidence(&self.log(*server)));
        let seen = if why.is_empty() { view.to_string() } else { format!("{why}; {view}") };
        ClusterError::TimedOut { what: what.to_owned(), within, seen, log: logs.collect() }
    }

    /// Tells of every change of role, epoch and reachability from now on. 20 to 50 ms is a good interval.
    pub fn watch(&self, every: Duration) -> Watcher {
        Watcher::start(self.background.handle(), &self.directory, every)
    }

    /// Where clients reach it: a Redis node through the fault proxy.
    pub fn address(&self, server: Server) -> SocketAddr {
        self.ground.announced(server)
    }

    /// Where it listens itself.
    pub fn direct_address(&self, server: Server) -> SocketAddr {
        self.backend.place(server).address
    }

    /// `redis://…,redis://…` of all nodes, through the fault proxy.
    pub fn redis_urls(&self) -> String {
        let urls = self.redis_servers().into_iter().map(|server| format!("redis://{}", self.address(server)));
        urls.collect::<Vec<_>>().join(",")
    }

    /// `http://address:port` of every chat node.
    pub fn chat_urls(&self) -> Vec<String> {
        let topology = self.topology.lock().unwrap_or_else(PoisonError::into_inner);
        topology.chat.servers().map(|server| format!("http://{}", self.address(server))).collect()
    }

    /// The last lines of its log.
    pub fn log_tail(&self, server: Server, lines: usize) -> String {
        backend::tail(&self.log(server), lines)
    }
}

/// `cmdstat_xadd:calls=12,usec=…`
fn writes(info: &str) -> u64 {
    let fields = answers::fields(info);
    let calls = WRITES.iter().filter_map(|command| fields.get(&*format!("cmdstat_{command}")));
    let calls = calls.filter_map(|value| value.strip_prefix("calls=")?.split(',').next()?.parse::<u64>().ok());
    calls.sum()
}

/// `id=3 addr=… sub=2 psub=1 ssub=0 …`, a line for each client.
fn subscriptions(clients: &str) -> u64 {
    let counts = clients.split_whitespace().filter_map(|field| field.split_once('='));
    let counts = counts.filter(|(name, _)| matches!(*name, "sub" | "psub" | "ssub"));
    counts.filter_map(|(_, count)| count.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_subscription_counts() {
        let clients = "id=3 addr=127.0.0.1:1 name= sub=2 psub=1 ssub=0 multi=-1 cmd=psubscribe\n\
                       id=4 addr=127.0.0.1:2 name= sub=0 psub=0 ssub=5 multi=-1 cmd=ssubscribe\n";
        assert_eq!((subscriptions(clients), subscriptions("")), (8, 0));
    }

    #[test]
    fn only_writes_make_a_primary_busy() {
        let info = "# Commandstats\r\ncmdstat_xadd:calls=12,usec=9\r\ncmdstat_ping:calls=900,usec=1\r\n\
                    cmdstat_fcall:calls=30,usec=9\r\n";
        assert_eq!(writes(info), 42);
    }
}
