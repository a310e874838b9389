//! The chat nodes: started, waited for until they serve, ended.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep, timeout};

use super::{Cluster, lock};
use crate::{
    ChatTopology, ClusterError, Program, Ready, Server,
    backend::{Launch, Signal},
    http,
    topology::Told,
};

const READY: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// So that few spans are lost with a killed node.
const EXPORT_MS: &str = "100";

impl Cluster {
    /// Replaces the chat nodes; the Redis Cluster stays as it is.
    pub async fn start_chat(&self, chat: ChatTopology) -> Result<(), ClusterError> {
        self.end_chat().await?;
        lock(&self.topology).chat = chat.clone();
        let launches = chat.servers().map(|server| Ok((server, self.chat_launch(server, &chat)?)));
        let launches = launches.collect::<Result<Vec<_>, ClusterError>>()?;
        try_join_all(launches.iter().map(|(server, launch)| self.backend.start(*server, launch))).await?;
        for server in chat.servers() {
            self.wait_until_ready(server, &chat.program).await?;
        }
        Ok(())
    }

    pub(super) async fn end_chat(&self) -> Result<(), ClusterError> {
        for server in self.chat().servers().filter(|server| !self.backend.process(*server).has_ended()) {
            self.backend.signal(server, Signal::Kill).await?;
        }
        lock(&self.topology).chat.nodes = 0;
        Ok(())
    }

    pub(super) async fn start_chat_node(&self, server: Server, chat: &ChatTopology) -> Result<(), ClusterError> {
        self.backend.start(server, &self.chat_launch(server, chat)?).await?;
        self.wait_until_ready(server, &chat.program).await
    }

    fn chat_launch(&self, server: Server, chat: &ChatTopology) -> Result<Launch, ClusterError> {
        let redis: Vec<_> = self.redis_servers().into_iter().map(|redis| self.address(redis)).collect();
        let told = Told::of(self.address(server), server.to_string(), &redis);
        let arguments = chat.program.arguments.iter().chain(&chat.args).map(|argument| told.fill(argument)).collect();
        let mut environment: BTreeMap<_, _> =
            chat.env.iter().map(|(name, value)| (name.clone(), told.fill(value))).collect();
        if let Some(otlp) = &chat.otlp {
            let url = self.backend.url_for_servers(otlp);
            let url = url.map_err(|error| self.failed(server, format!("is to reach {otlp}: {error}")))?;
            environment.insert("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), url);
            environment.entry("OTEL_BSP_SCHEDULE_DELAY".to_owned()).or_insert_with(|| EXPORT_MS.to_owned());
        }
        let Program { command, folder, inherits, .. } = chat.program.clone();
        Ok(Launch { program: command, arguments, environment, folder, inherits })
    }

    /// Until a chat node serves, by the sign that its program gives.
    async fn wait_until_ready(&self, server: Server, program: &Program) -> Result<(), ClusterError> {
        let until = Instant::now() + READY;
        loop {
            if self.backend.process(server).has_ended() {
                return Err(self.did_not_start(server, &program.command).await);
            }
            let Err(seen) = self.looks_ready(server, &program.ready).await else { return Ok(()) };
            if Instant::now() > until {
                let tried = self.address(server);
                return Err(self.failed(server, format!("is not ready at {tried} after {READY:?}: {seen}")));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn looks_ready(&self, server: Server, ready: &Ready) -> Result<(), String> {
        let address = self.address(server);
        let look = async {
            match ready {
                Ready::Listening => tokio::net::TcpStream::connect(address).await.map(|_| (200, String::new())),
                Ready::Http(path) => http::get(address, path).await,
            }
        };
        match timeout(Duration::from_secs(1), look).await {
            Err(_) => Err("no answer within 1s".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok((200, _))) => Ok(()),
            Ok(Ok((status, body))) => Err(format!("it answers {status}: {body}")),
        }
    }
}
