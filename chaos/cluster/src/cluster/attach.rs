//! A deployment that runs already, as a cluster: nothing is started, and nothing ends with it.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use super::{Cluster, Options, background::Background, files::Files, lock};
use crate::{
    ChatTopology, ClusterError, Deployment, Found, Links, Server, Topology, external::External, ground::Ground,
};

impl Cluster {
    /// `logs`: what the operator's commands write goes there, and `put-back.sh` beside it while anything is out of order.
    pub async fn attach(
        deployment: Deployment,
        found: Found,
        chat: ChatTopology,
        logs: &Path,
    ) -> Result<Cluster, ClusterError> {
        let ground = |error: std::io::Error| ClusterError::Ground(format!("{}: {error}", logs.display()));
        let background = Background::start()?;
        let files = Files::make(None, false)?;
        let mut places = found.directory.direct.clone();
        places.extend(&found.chat);
        let places = Arc::new(Ground::Given(places));
        let links = Links::listen(background.handle(), &[], &places, Arc::new(|_| false)).map_err(ground)?;
        let external = External::new(deployment, &found, logs, background.handle().clone()).map_err(ground)?;
        external.settled().await;
        let cluster = Cluster {
            backend: Arc::new(external),
            links,
            directory: Arc::new(found.directory),
            background,
            topology: Mutex::new(Topology { redis: found.redis, chat }),
            writes: Mutex::default(),
            formed: Mutex::default(),
            options: Options { logs: Some(logs.to_owned()), ..Options::new(found.engine) },
            files,
            ground: places,
        };
        *lock(&cluster.writes) = cluster.write_calls().await;
        Ok(cluster)
    }

    /// Whether links between its nodes pass through the fault proxy.
    pub fn has_links(&self) -> bool {
        self.backend.external().is_none()
    }

    /// Cuts a server off from all others, or lets it back, where nothing stands between them but the operator's command.
    pub async fn isolate(&self, server: Server, cut: bool) -> Result<(), ClusterError> {
        match self.backend.external() {
            Some(external) => external.isolate(server, cut).await,
            None => Err(self.failed(server, "is cut off by its links".to_owned())),
        }
    }

    /// When a server of somebody else's was last seen to serve: an operator's command takes its time, and says not when it
    /// has its effect.
    pub fn last_served(&self, server: Server) -> Option<std::time::Instant> {
        self.backend.external()?.served(server).map(tokio::time::Instant::into_std)
    }

    /// What of somebody else's deployment is out of order by our doing, each with the command that puts it back.
    pub fn left(&self) -> Vec<String> {
        self.backend.external().map(External::left).unwrap_or_default()
    }

    /// Returns when nothing that was begun is under way any more.
    pub async fn settled(&self) {
        if let Some(external) = self.backend.external() {
            external.settled().await;
        }
    }

    /// Why a drill on somebody else's deployment must end now: something is out of order for too long, or a stop file is
    /// there.
    pub fn overstayed(&self) -> Option<String> {
        self.backend.external()?.overstayed()
    }
}
