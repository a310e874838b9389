//! What the chat nodes say of themselves during a run: their `/metrics`, kept under `metrics/`, one reading a line.

use std::{fs::File, io::Write, path::Path, time::Duration};

use chaos_cluster::{Cluster, Server};
use chaos_observe::{Clock, metrics::Scraper};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

const EVERY: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(50);
/// Messages that a node has taken and neither acked nor given up.
const PENDING: &str = "chat_appends_pending";

/// A chat node's name and the URL of its metrics.
pub(crate) type Node = (String, String);

pub(crate) fn nodes(cluster: &Cluster) -> Vec<Node> {
    let chat = cluster.servers().into_iter().filter(|server| matches!(server, Server::Chat(_)));
    chat.map(|server| (server.to_string(), format!("http://{}/metrics", cluster.address(server)))).collect()
}

/// Keeps reading until `tasks` ends. A node that does not answer is simply not in the file at that time.
pub(crate) fn start(nodes: Vec<Node>, clock: Clock, folder: &Path, tasks: &mut JoinSet<()>) {
    let scraper = Scraper::new(clock);
    for (name, url) in nodes {
        let (scraper, path) = (scraper.clone(), folder.join(format!("{name}.jsonl")));
        tasks.spawn(async move {
            let Ok(mut file) = File::create(path) else { return };
            loop {
                if let Ok(reading) = scraper.scrape(&name, &url).await
                    && let Ok(line) = serde_json::to_string(&reading)
                {
                    // A full disk is told by the history, whose end is checked.
                    let _ = writeln!(file, "{line}");
                }
                sleep(EVERY).await;
            }
        });
    }
}

/// Waits until no node has a message that it neither acked nor gave up; else says who has how many.
pub(crate) async fn nothing_pending(nodes: &[Node], clock: Clock, within: Duration) -> Result<(), String> {
    let scraper = Scraper::new(clock);
    let deadline = Instant::now() + within;
    loop {
        let mut open = Vec::new();
        for (name, url) in nodes {
            let pending = scraper.scrape(name, url).await.map_err(|error| error.to_string());
            match pending.map(|reading| reading.sum(PENDING)) {
                Ok(Some(0.0)) => {}
                Ok(Some(pending)) => open.push(format!("{name} has {pending} pending appends")),
                Ok(None) => open.push(format!("{name} has no metric {PENDING}")),
                Err(why) => open.push(why),
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(open.join("; "));
        }
        sleep(LOOK).await;
    }
}
