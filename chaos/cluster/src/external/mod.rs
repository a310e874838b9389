//! The external backend: servers of somebody else's, touched by the operator's own commands and by nothing else.
//!
//! What the servers do is seen from outside ([`presence`]); the harness asks Redis and never writes to it. Every command
//! is held to the blast radius, whatever asked for it, and what is out of order is on disk before it is ([`ledger`]).
//! Deliberately absent: starting a deployment, and ending what runs there when a run ends.

mod command;
mod deployment;
mod found;
mod ledger;
mod presence;

use std::{collections::BTreeMap, fs, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::Mutex,
    time::{Instant, sleep},
};

pub use deployment::{Access, Act, Commands, Deployment, Endpoint, Radius};
pub use found::{Found, USUAL_PATH, missing_program};
use ledger::{Ledger, Out};
use presence::Lookout;

use crate::{
    ClusterError, ProcessState, Server,
    backend::{Backend, Launch, Place, Process, Signal, Verb},
};

const LOG: &str = "commands.log";
const SCRIPT: &str = "put-back.sh";
/// A fault that has no effect by then is not waited for: that it has none shows in its evidence.
const EFFECT: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(crate) struct External {
    acting: Arc<Acting>,
    background: Handle,
    addresses: BTreeMap<Server, SocketAddr>,
}

/// What a command needs that goes on although nobody waits for it any more.
struct Acting {
    deployment: Deployment,
    ledger: Ledger,
    log: PathBuf,
    lookout: Lookout,
    /// One command at a time.
    turn: Mutex<()>,
}

impl Acting {
    async fn act(&self, server: Server, act: Act) -> Result<(), ClusterError> {
        let _turn = self.turn.lock().await;
        let refused = |why: String| failed(server, &why);
        if act.undone_by().is_some() {
            self.allowed(server).map_err(|why| ClusterError::NotTouched { server, why })?;
        }
        let words = self.deployment.command(server, act);
        let words = words.ok_or_else(|| refused(format!("has no command `{act}` in {}", self.deployment.name)))?;
        let listed = if act.undone_by().is_some() { self.ledger.strike(&self.deployment, server, act) } else { Ok(()) };
        listed.map_err(|error| refused(format!("is not touched: {SCRIPT} cannot be written: {error}")))?;
        let within = self.deployment.commands.within.get();
        let run = command::run(&words, &self.deployment.folder, within, &self.log).await;
        run.map_err(|why| refused(format!("was to be told `{act}`: {why}")))
    }

    /// Held to the blast radius, in a deployment that nobody else breaks meanwhile.
    fn allowed(&self, server: Server) -> Result<(), String> {
        if let Some((broken, how)) = self.broken_by_others() {
            return Err(format!("{broken} is out of order, and not by this drill ({how})"));
        }
        let radius = &self.deployment.radius;
        let mut out = self.out();
        out.remove(&server);
        if !radius.servers.contains(&server) || out.len() >= usize::from(radius.at_once) {
            let names: Vec<_> = out.keys().map(ToString::to_string).collect();
            let now =
                if names.is_empty() { String::new() } else { format!(" ({} out of order now)", names.join(", ")) };
            return Err(format!("the blast radius of {} is {radius}{now}", self.deployment.name));
        }
        Ok(())
    }

    /// A chat node that only hangs may do so for what this drill does to Redis.
    fn broken_by_others(&self) -> Option<(Server, Process)> {
        let ours = self.ledger.out();
        self.lookout.all().into_iter().find(|(server, process)| {
            let broken = if server.is_redis() { !matches!(process, Process::Running(_)) } else { process.has_ended() };
            broken && !ours.contains_key(server)
        })
    }

    /// What is out of order by our doing, as seen now. A server that serves although nobody put it back (a command that
    /// did nothing, a supervisor) stays listed until the end, since it may yet go, and is in nobody's way.
    fn out(&self) -> BTreeMap<Server, Out> {
        let mut out = self.ledger.out();
        out.retain(|server, out| out.by == Act::Cut || !matches!(self.process(*server), Process::Running(_)));
        out
    }

    fn process(&self, server: Server) -> Process {
        let never = || Process::Ended("was never looked at".to_owned());
        self.lookout.last(server).map_or_else(never, |seen| seen.process)
    }
}

fn failed(server: Server, why: &str) -> ClusterError {
    ClusterError::Process { server, why: why.to_owned(), log: String::new() }
}

impl External {
    /// `logs`: the run's folder for logs; the script goes beside it.
    pub(crate) fn new(
        deployment: Deployment,
        found: &Found,
        logs: &std::path::Path,
        background: Handle,
    ) -> io::Result<External> {
        fs::create_dir_all(logs)?;
        let mut addresses = found.directory.direct.clone();
        addresses.extend(&found.chat);
        let lookout = Lookout::start(&background, &addresses, found.directory.login.as_ref());
        let script = logs.parent().unwrap_or(logs).join(SCRIPT);
        let (ledger, turn) = (Ledger::new(script), Mutex::default());
        let acting = Arc::new(Acting { deployment, ledger, log: logs.join(LOG), lookout, turn });
        Ok(External { acting, background, addresses })
    }

    /// A command that was begun ends, also when its caller is dropped meanwhile.
    async fn act(&self, server: Server, act: Act) -> Result<(), ClusterError> {
        let acting = self.acting.clone();
        let task = self.background.spawn(async move { acting.act(server, act).await });
        task.await.map_err(|error| failed(server, &format!("was lost: {error}")))?
    }

    async fn strike(&self, server: Server, act: Act, has: fn(&Process) -> bool) -> Result<(), ClusterError> {
        self.act(server, act).await?;
        let until = Instant::now() + EFFECT;
        while !has(&self.process(server)) && Instant::now() < until {
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Runs the command, and returns when the server is seen to serve. What we did not put out of order is left alone.
    async fn bring_back(&self, server: Server, act: Act) -> Result<(), ClusterError> {
        if !self.acting.ledger.out().contains_key(&server) {
            return Ok(());
        }
        let began = Instant::now();
        self.act(server, act).await?;
        let within = self.acting.deployment.commands.up_within.get();
        loop {
            let seen = self.acting.lookout.last(server).filter(|seen| seen.at >= began);
            match seen {
                Some(seen) if matches!(seen.process, Process::Running(_)) => break,
                seen if began.elapsed() > within => {
                    let seen = seen.map_or_else(|| "was not looked at".to_owned(), |seen| seen.process.to_string());
                    return Err(failed(
                        server,
                        &format!("was told `{act}` and does not serve after {within:?}: {seen}"),
                    ));
                }
                _ => sleep(LOOK_AGAIN).await,
            }
        }
        self.is_back(server)
    }

    fn is_back(&self, server: Server) -> Result<(), ClusterError> {
        let written = self.acting.ledger.is_back(&self.acting.deployment, server);
        written.map_err(|error| failed(server, &format!("is back, but {SCRIPT} cannot be written: {error}")))
    }
}

impl External {
    /// From all others of the deployment, or back among them.
    pub(crate) async fn isolate(&self, server: Server, cut: bool) -> Result<(), ClusterError> {
        if cut { self.act(server, Act::Cut).await } else { self.bring_back(server, Act::Heal).await }
    }

    /// What is out of order by our doing, with the command that puts it back.
    pub(crate) fn left(&self) -> Vec<String> {
        let deployment = &self.acting.deployment;
        let mut left = Vec::new();
        for (server, out) in self.acting.ledger.out() {
            if matches!(self.process(server), Process::Running(_)) && out.by != Act::Cut {
                // By a supervisor, or by a command that came late.
                let _ = self.is_back(server);
            } else if let Some(line) = ledger::back(deployment, server, out.by) {
                let only =
                    if ledger::must_be_looked_at(server, out.by) { " (only when another has its slots)" } else { "" };
                left.push(format!("{server}: {line}{only}"));
            }
        }
        left
    }

    /// When it was last seen to serve.
    pub(crate) fn served(&self, server: Server) -> Option<Instant> {
        self.acting.lookout.last(server)?.served
    }

    /// Until no command is under way any more, and every server was looked at since.
    pub(crate) async fn settled(&self) {
        drop(self.acting.turn.lock().await);
        let now = Instant::now();
        let looked = |server: &Server| self.acting.lookout.last(*server).is_some_and(|seen| seen.at >= now);
        while !self.addresses.keys().all(looked) && now.elapsed() < EFFECT * 2 {
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Why the run must end now.
    pub(crate) fn overstayed(&self) -> Option<String> {
        let Deployment { name, radius, .. } = &self.acting.deployment;
        if let Some(file) = self.acting.deployment.stop_file().filter(|file| file.exists()) {
            return Some(format!("the stop file {} is there", file.display()));
        }
        let out = self.acting.out().into_iter();
        let mut late = out.filter(|(_, out)| out.since.elapsed() > radius.longest.get());
        let (server, out) = late.next()?;
        let (by, longest) = (out.by, radius.longest);
        Some(format!(
            "{server} is out of order (`{by}`) for longer than the {longest} that the blast radius of {name} allows"
        ))
    }
}

impl Backend for External {
    fn start<'a>(&'a self, server: Server, _: &'a Launch) -> Verb<'a> {
        Box::pin(self.bring_back(server, Act::Start))
    }

    fn signal(&self, server: Server, signal: Signal) -> Verb<'_> {
        Box::pin(async move {
            match signal {
                Signal::Kill => self.strike(server, Act::Kill, Process::has_ended).await,
                Signal::Terminate => self.strike(server, Act::Stop, Process::has_ended).await,
                Signal::Pause => {
                    self.strike(server, Act::Pause, |process| !matches!(process, Process::Running(_))).await
                }
                Signal::Resume => self.bring_back(server, Act::Wake).await,
            }
        })
    }

    fn process(&self, server: Server) -> Process {
        self.acting.process(server)
    }

    fn life(&self, server: Server, pid: u32) -> ProcessState {
        match self.process(server) {
            Process::Running(now) | Process::Paused(now) if now != pid => ProcessState::Ended,
            process => process.state(),
        }
    }

    fn told(&self, server: Server, pid: u32) -> String {
        match self.process(server) {
            Process::Ended(how) => how,
            _ if server.is_redis() => format!("run {pid:08x}"),
            _ => format!("life {pid}"),
        }
    }

    fn place(&self, server: Server) -> Place {
        let address = self.addresses.get(&server).copied().unwrap_or_else(|| ([0, 0, 0, 0], 0).into());
        Place { address, data: PathBuf::new(), log: self.acting.log.with_file_name(format!("{server}.log")) }
    }

    fn external(&self) -> Option<&External> {
        Some(self)
    }
}
