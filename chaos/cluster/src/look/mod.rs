//! Looking at a running cluster: what every node says, and when it changes.
//!
//! Nodes are asked directly, not through the fault proxy: a cut link blinds the cluster, not the observer.

pub(crate) mod answers;
mod nodes;
mod view;
mod watch;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::timeout};

pub use view::{NodeView, PeerView, Role, Seen, Shard, View};
pub use watch::{Change, Changed, Watcher};

use crate::{
    Server,
    resp::{Connection, Login},
};

/// A hung node is called silent after this; a live one answers in about a millisecond.
pub(crate) const PATIENCE: Duration = Duration::from_millis(300);

/// How nodes are reached, and told by their announced addresses.
#[derive(Clone, Default)]
pub(crate) struct Directory {
    pub(crate) direct: BTreeMap<Server, SocketAddr>,
    pub(crate) announced: BTreeMap<SocketAddr, Server>,
    pub(crate) login: Option<Login>,
}

impl Directory {
    /// By the address in a node's answer: `127.0.0.1:7000`, or `127.0.0.1:7000@17000,host`.
    fn named(&self, address: &str) -> Option<Server> {
        let address = address.split(['@', ',']).next()?;
        self.announced.get(&address.parse().ok()?).copied()
    }
}

/// Asks all nodes at once.
pub(crate) async fn at_all(directory: &Arc<Directory>) -> View {
    let at = Instant::now();
    let mut asked = JoinSet::new();
    for (server, address) in directory.direct.clone() {
        let directory = directory.clone();
        asked.spawn(async move {
            let mut connection = None;
            (server, seen(&mut connection, address, &directory).await)
        });
    }
    let mut nodes = BTreeMap::new();
    while let Some(Ok((server, seen))) = asked.join_next().await {
        nodes.insert(server, seen);
    }
    View { at, nodes }
}

/// Asks one node, on the connection that is there or a new one, which is kept when the node answers.
async fn seen(connection: &mut Option<Connection>, address: SocketAddr, directory: &Directory) -> Seen {
    let answer = timeout(PATIENCE, async {
        let mut open = match connection.take() {
            Some(open) => open,
            None => Connection::open(address, directory.login.as_ref()).await?,
        };
        let answers = open.ask(answers::QUESTIONS).await?;
        *connection = Some(open);
        Ok::<_, std::io::Error>(answers)
    });
    match answer.await {
        Err(_) => Seen::Silent(format!("no answer within {PATIENCE:?}")),
        Ok(Err(error)) => Seen::Silent(error.to_string()),
        Ok(Ok(answers)) => match answers::read(&answers, directory) {
            Ok(node) => Seen::Answered(node),
            Err(why) => Seen::Silent(why),
        },
    }
}
