//! Whether a server of somebody else's is there, as seen from outside: nothing is asked but what it is, and nothing is
//! believed but its answer.
//!
//! No connection: it has ended. A connection and no answer for a second: it hangs. A Redis node is told from its successor
//! at the same place by its run id, a chat node by having been away.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    runtime::Handle,
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    Server,
    backend::Process,
    http,
    look::answers,
    resp::{Connection, Login, RespValue},
};

/// Who accepts a connection and says nothing for so long hangs.
const HUNG: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(20);
const LOOK_AT_REDIS: Duration = Duration::from_millis(50);
/// Nodes count the connections of an address.
const LOOK_AT_CHAT: Duration = Duration::from_millis(250);

#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) process: Process,
    /// When the look began.
    pub(super) at: Instant,
    /// When the last look began that found it serving.
    pub(super) served: Option<Instant>,
}

/// Looks at every server until it is dropped.
pub(super) struct Lookout {
    seen: Arc<Mutex<BTreeMap<Server, Sighting>>>,
    tasks: Vec<AbortHandle>,
}

impl Lookout {
    pub(super) fn start(runtime: &Handle, at: &BTreeMap<Server, SocketAddr>, login: Option<&Login>) -> Lookout {
        let seen = Arc::default();
        let watch = |(server, address): (&Server, &SocketAddr)| {
            let mut watch =
                Watch { server: *server, address: *address, login: login.cloned(), open: None, last: 0, away: true };
            let seen: Arc<Mutex<BTreeMap<Server, Sighting>>> = Arc::clone(&seen);
            let every = if server.is_redis() { LOOK_AT_REDIS } else { LOOK_AT_CHAT };
            let task = async move {
                let mut served = None;
                loop {
                    let at = Instant::now();
                    let process = watch.look().await;
                    served = if matches!(process, Process::Running(_)) { Some(at) } else { served };
                    lock(&seen).insert(watch.server, Sighting { process, at, served });
                    sleep(every).await;
                }
            };
            runtime.spawn(task).abort_handle()
        };
        let tasks = at.iter().map(watch).collect();
        Lookout { seen, tasks }
    }

    pub(super) fn last(&self, server: Server) -> Option<Sighting> {
        lock(&self.seen).get(&server).cloned()
    }

    /// Of those that were looked at.
    pub(super) fn all(&self) -> BTreeMap<Server, Process> {
        lock(&self.seen).iter().map(|(server, seen)| (*server, seen.process.clone())).collect()
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Watch {
    server: Server,
    address: SocketAddr,
    login: Option<Login>,
    open: Option<Connection>,
    /// Which life of it was seen last: of a run id, or a count.
    last: u32,
    /// It had ended when it was last looked at.
    away: bool,
}

impl Watch {
    async fn look(&mut self) -> Process {
        if let Some(connection) = &mut self.open {
            match timeout(HUNG, connection.ask(&[&["PING"]])).await {
                Ok(Ok(_)) => return Process::Running(self.last),
                Ok(Err(_)) => {}
                Err(_) => {
                    self.open = None;
                    return Process::Paused(self.last);
                }
            }
            self.open = None;
        }
        let mut process = self.knock().await;
        if process.has_ended() {
            // One connection that breaks shows nothing yet.
            sleep(AGAIN).await;
            process = self.knock().await;
        }
        self.last = process.pid().unwrap_or(self.last);
        self.away = process.has_ended();
        process
    }

    /// On a connection of its own.
    async fn knock(&mut self) -> Process {
        match timeout(HUNG, TcpStream::connect(self.address)).await {
            Err(_) => Process::Ended(format!("no connection within {HUNG:?}")),
            Ok(Err(error)) => Process::Ended(error.to_string()),
            Ok(Ok(stream)) => match timeout(HUNG, self.ask(stream)).await {
                Err(_) => Process::Paused(self.last),
                Ok(Ok(life)) => Process::Running(life),
                Ok(Err(why)) => Process::Ended(why),
            },
        }
    }

    /// Which life of the server answers.
    async fn ask(&mut self, stream: TcpStream) -> Result<u32, String> {
        let told = |error: std::io::Error| error.to_string();
        if !self.server.is_redis() {
            http::ask(stream, self.address, "/ready").await.map_err(told)?;
            return Ok(self.last + u32::from(self.away));
        }
        let mut connection = Connection::over(stream, self.login.as_ref()).await.map_err(told)?;
        let answer = connection.ask(&[&["INFO"]]).await.map_err(told)?.pop();
        let info = match answer {
            Some(RespValue::Text(info)) => info,
            other => return Err(format!("INFO is answered with {other:?}")),
        };
        let fields = answers::fields(&info);
        if fields.get("loading") != Some(&"0") {
            return Err("loads its data".to_owned());
        }
        let life = fields.get("run_id").and_then(|id| u32::from_str_radix(id.get(..8)?, 16).ok());
        let life = life.ok_or("INFO tells no run_id")?;
        self.open = Some(connection);
        Ok(life)
    }
}
