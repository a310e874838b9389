//! One connection to one Redis node, with a liveness deadline on everything.
//!
//! A hung primary gives no error and no data: whoever asks it decides when to stop waiting. After any failure the
//! connection is dropped, with its driver; nothing is sent twice on it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{AsyncPushSender, ConnectionLike as _, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, ErrorKind, Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError, ServerErrorKind,
    Value,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::Config;
use crate::edge::{Edge, RedisAddress};

/// Why a connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("connect to {address}: {source}")]
    Connect { address: RedisAddress, source: io::Error },
    #[error("{address} {why}")]
    Misfit { address: RedisAddress, why: &'static str },
    #[error("{address} did not answer within {after:?}{}", if address.tls { " (does it speak TLS?)" } else { "" })]
    Silent { address: RedisAddress, after: Duration },
    #[error("{address}: {source}")]
    Redis { address: RedisAddress, source: RedisError },
    #[error("{address} answered what was not asked: {what}")]
    Nonsense { address: RedisAddress, what: &'static str },
    #[error("{address} refuses: {answer}")]
    Refuses { address: RedisAddress, answer: String },
    #[error("{address} is not the primary any more")]
    Superseded { address: RedisAddress },
}

impl LinkError {
    /// Somebody has to change the settings, here or there.
    pub(crate) fn is_misfit(&self) -> bool {
        match self {
            LinkError::Misfit { .. } => true,
            // The edge's word for a peer that does not fit: TLS or its certificate.
            LinkError::Connect { source, .. } => source.kind() == io::ErrorKind::InvalidData,
            LinkError::Refuses { answer, .. } => answer.starts_with("NOPERM"),
            _ => false,
        }
    }

    /// What went wrong before the first answer. Never with what the server said to wrong credentials.
    fn at_first(address: &RedisAddress, source: RedisError) -> LinkError {
        let misfit = |why| LinkError::Misfit { address: address.clone(), why };
        let denied = matches!(source.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM"));
        match source.kind() {
            ErrorKind::AuthenticationFailed => misfit("refuses the user or the password"),
            _ if denied => misfit("refuses the user or the password"),
            ErrorKind::Parse if !address.tls => {
                misfit("does not speak Redis's protocol in plain: does it want TLS (rediss://)?")
            }
            _ => LinkError::Redis { address: address.clone(), source },
        }
    }
}

pub(crate) struct Link {
    pub(crate) address: RedisAddress,
    connection: MultiplexedConnection,
    liveness: Duration,
    /// The driver ends with the link.
    _driver: JoinSet<()>,
}

impl Link {
    pub(crate) async fn open<E: Edge>(edge: &E, config: &Config, address: &RedisAddress) -> Result<Link, LinkError> {
        Self::open_with(edge, config, address, None::<fn(redis::PushInfo) -> Result<(), ()>>).await
    }

    /// With pushes (bells, disconnection) going to `pushes`. Connect and set-up share one deadline: redis-rs has none
    /// of its own for them.
    pub(crate) async fn open_with<E: Edge>(
        edge: &E,
        config: &Config,
        address: &RedisAddress,
        pushes: Option<impl AsyncPushSender>,
    ) -> Result<Link, LinkError> {
        let mut settings = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        if let Some(pushes) = pushes {
            settings = settings.set_push_sender(pushes);
        }
        let set_up = async {
            let connect = |source| LinkError::Connect { address: address.clone(), source };
            let stream = edge.connect(address).await.map_err(connect)?;
            let info = info(config);
            let ready = MultiplexedConnection::new_with_config(&info, stream, settings).await;
            let (connection, driver) = ready.map_err(|source| LinkError::at_first(address, source))?;
            let mut tasks = JoinSet::new();
            tasks.spawn(driver);
            Ok((connection, tasks))
        };
        let silent = |_| LinkError::Silent { address: address.clone(), after: config.liveness };
        let (connection, driver) = timeout(config.liveness, set_up).await.map_err(silent)??;
        Ok(Link { address: address.clone(), connection, liveness: config.liveness, _driver: driver })
    }

    /// Sends all commands at once; each answer stands for itself, server errors included.
    pub(crate) async fn ask(&mut self, commands: &Pipeline) -> Result<Vec<Value>, LinkError> {
        let count = commands.len();
        let answers = timeout(self.liveness, self.connection.req_packed_commands(commands, 0, count)).await;
        let answers = answers
            .map_err(|_| LinkError::Silent { address: self.address.clone(), after: self.liveness })?
            .map_err(|source| LinkError::Redis { address: self.address.clone(), source })?;
        if answers.len() == count { Ok(answers) } else { Err(self.nonsense("another number of answers")) }
    }

    pub(crate) async fn ping(&mut self) -> Result<(), LinkError> {
        let mut ping = redis::pipe();
        ping.cmd("PING");
        match self.ask(&ping).await?.first() {
            Some(Value::SimpleString(pong)) if pong == "PONG" => Ok(()),
            Some(Value::ServerError(error)) => Err(self.refuses(error)),
            _ => Err(self.nonsense("no PONG to PING")),
        }
    }

    pub(crate) fn nonsense(&self, what: &'static str) -> LinkError {
        LinkError::Nonsense { address: self.address.clone(), what }
    }

    pub(crate) fn refuses(&self, answer: &redis::ServerError) -> LinkError {
        LinkError::Refuses { address: self.address.clone(), answer: answer.to_string() }
    }

    pub(crate) fn superseded(&self) -> LinkError {
        LinkError::Superseded { address: self.address.clone() }
    }
}

fn info(config: &Config) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
    if let Some(username) = &config.credentials.username {
        info = info.set_username(username);
    }
    if let Some(password) = &config.credentials.password {
        info = info.set_password(password);
    }
    info
}

/// What a server error asks of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// The slot lives elsewhere: read the topology again.
    Moved,
    /// The key already moved, the slot has not: ask there, this once.
    Ask { host: Arc<str>, port: u16 },
    /// The slot is on its way and only some of the keys are here.
    TryAgain,
    /// This server lacks our functions.
    NoFunction,
    /// Anything else: the connection is dropped and all of it tried again.
    Other,
}

pub(crate) fn complaint(error: &redis::ServerError) -> Complaint {
    match error.kind() {
        Some(ServerErrorKind::Moved) => Complaint::Moved,
        Some(ServerErrorKind::Ask) => ask_target(error).unwrap_or(Complaint::TryAgain),
        Some(ServerErrorKind::TryAgain) => Complaint::TryAgain,
        _ if error.details().is_some_and(|text| text.contains("unction not found")) => Complaint::NoFunction,
        _ => Complaint::Other,
    }
}

/// `ASK <slot> host:port`
fn ask_target(error: &redis::ServerError) -> Option<Complaint> {
    let (host, port) = error.details()?.split_ascii_whitespace().nth(1)?.rsplit_once(':')?;
    Some(Complaint::Ask { host: host.into(), port: port.parse().ok()? })
}
