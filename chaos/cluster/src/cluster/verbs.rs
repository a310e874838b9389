//! What is done to processes. A verb returns when it has had its effect.

use std::{path::PathBuf, time::Duration};

use tokio::time::{Instant, sleep};

use super::{Cluster, lock};
use crate::{
    ClusterError, ProcessState, Server,
    backend::{Launch, Signal},
};

const LOOK_AGAIN: Duration = Duration::from_millis(5);

impl Cluster {
    /// SIGKILL. What the fault proxy holds of it is dropped.
    pub async fn kill(&self, server: Server) -> Result<(), ClusterError> {
        let killed = self.backend.signal(server, Signal::Kill);
        if let Server::Redis(node) = server {
            // At once, not when it has been waited for: what is still on its way shall not arrive.
            let (killed, ()) = tokio::join!(biased; killed, async { self.links.died(node) });
            return killed;
        }
        killed.await
    }

    /// SIGTERM, and waits until the process has ended. A Redis primary waits up to 10 s for its replicas, a chat node
    /// drains. One that stays is an error, unless it is somebody else's.
    pub async fn terminate(&self, server: Server, within: Duration) -> Result<(), ClusterError> {
        self.backend.signal(server, Signal::Terminate).await?;
        let until = Instant::now() + within;
        while !self.backend.process(server).has_ended() {
            if Instant::now() > until {
                if self.backend.external().is_some() {
                    // The operator's command ended well; that the server did not go shows in the evidence.
                    return Ok(());
                }
                let (state, why) = (self.backend.process(server), self.backend.why_it_stays(server));
                return Err(self.failed(server, format!("was terminated and is {state} after {within:?}{why}")));
            }
            sleep(LOOK_AGAIN).await;
        }
        if let Server::Redis(node) = server {
            self.links.died(node);
        }
        Ok(())
    }

    /// SIGSTOP: it hangs, its connections stay.
    pub async fn pause(&self, server: Server) -> Result<(), ClusterError> {
        self.backend.signal(server, Signal::Pause).await
    }

    /// SIGCONT.
    pub async fn resume(&self, server: Server) -> Result<(), ClusterError> {
        self.backend.signal(server, Signal::Resume).await
    }

    /// Starts an ended process again at once, with its data, and waits until it serves. A Redis node that was a primary
    /// may wipe its replicas so: [`restart_when_replaced`](Cluster::restart_when_replaced) is the safe way.
    pub async fn start_again(&self, server: Server) -> Result<(), ClusterError> {
        match server {
            // It is seen to serve when this returns.
            Server::Redis(_) if self.backend.external().is_some() => {
                self.backend.start(server, &Launch::default()).await
            }
            Server::Redis(_) => {
                let redis = lock(&self.topology).redis.clone();
                self.launch_redis(server, &redis).await?;
                self.wait_until_serving(server).await
            }
            Server::Chat(_) => self.start_chat_node(server, &self.chat()).await,
        }
    }

    pub fn state(&self, server: Server) -> ProcessState {
        self.backend.process(server).state()
    }

    /// Of a process that runs or is paused; of somebody else's server a number that no other life of it has.
    pub fn pid(&self, server: Server) -> Option<u32> {
        self.backend.process(server).pid()
    }

    /// What became of the life of a server that had this id, by the operating system's word, or as seen from outside.
    pub fn life(&self, server: Server, pid: u32) -> ProcessState {
        self.backend.life(server, pid)
    }

    /// That life, for people: `process 17`.
    pub fn told(&self, server: Server, pid: u32) -> String {
        self.backend.told(server, pid)
    }

    pub fn data_directory(&self, server: Server) -> PathBuf {
        self.backend.place(server).data
    }

    pub fn log(&self, server: Server) -> PathBuf {
        self.backend.place(server).log
    }

    /// Ends every process that it started, chat nodes first, and removes what was stored unless it is to be kept.
    pub async fn shutdown(self) -> Result<(), ClusterError> {
        if self.backend.external().is_some() {
            return Ok(());
        }
        let mut servers = self.servers();
        servers.reverse();
        let mut failed = None;
        for server in servers.into_iter().filter(|server| !self.backend.process(*server).has_ended()) {
            if let Err(error) = self.backend.signal(server, Signal::Kill).await {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
