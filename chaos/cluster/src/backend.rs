//! The seam between a cluster and what its servers run on: processes or containers.

use std::{
    collections::BTreeMap,
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use nix::sys::signal::Signal as Number;
use tokio::time::{Instant, sleep};

use crate::{ClusterError, Server, external::External, tree};

/// A verb under way.
pub(crate) type Verb<'a> = Pin<Box<dyn Future<Output = Result<(), ClusterError>> + Send + 'a>>;

/// What a cluster asks of the place where its servers run.
pub(crate) trait Backend: Send + Sync {
    /// Starts it in its data directory, which exists afterwards; it need not serve yet.
    fn start<'a>(&'a self, server: Server, launch: &'a Launch) -> Verb<'a>;

    /// To all of a server's processes, whatever was started first; a container is asked to go as an engine asks, by its
    /// first process. Returns when the signal has had its effect: the process is gone, or stopped with all that came of
    /// it. A terminated one may take its time, and is not waited for.
    fn signal(&self, server: Server, signal: Signal) -> Verb<'_>;

    fn process(&self, server: Server) -> Process;

    fn place(&self, server: Server) -> Place;

    /// What may keep one here that was asked to go, to be appended to a sentence.
    fn why_it_stays(&self, _: Server) -> String {
        String::new()
    }

    /// What became of the life of a server that had this id, by whoever is not the harness: the evidence for faults,
    /// whatever the harness believes that it did.
    fn life(&self, _: Server, pid: u32) -> ProcessState {
        life(pid)
    }

    /// That life, for people.
    fn told(&self, _: Server, pid: u32) -> String {
        format!("process {pid}")
    }

    /// What of killed harnesses was found and removed before servers were started here, for people.
    fn swept(&self) -> &[String] {
        &[]
    }

    /// The same URL as servers have to write it: loopback of this machine is not theirs when they run in containers.
    fn url_for_servers(&self, url: &str) -> io::Result<String> {
        Ok(url.to_owned())
    }

    /// `None`: servers that the harness started itself.
    fn external(&self) -> Option<&External> {
        None
    }
}

/// What to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// Where it runs; `None`: in its data directory.
    pub(crate) folder: Option<PathBuf>,
    /// Whether the harness's own environment is there too.
    pub(crate) inherits: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Terminate,
    /// SIGSTOP.
    Pause,
    /// SIGCONT.
    Resume,
}

impl Signal {
    pub(crate) fn number(self) -> Number {
        match self {
            Signal::Kill => Number::SIGKILL,
            Signal::Terminate => Number::SIGTERM,
            Signal::Pause => Number::SIGSTOP,
            Signal::Resume => Number::SIGCONT,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(out)
    }
}

/// A kill or a stop takes effect within milliseconds, unless the process waits for a disk.
const EFFECT: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Until a signal that was sent has done what it is for; otherwise what is seen instead. `again` sends a pause or a kill once
/// more: to what was started between the look at the processes and the signal.
pub(crate) async fn effect(
    signal: Signal,
    state: impl Fn() -> Process,
    again: impl Fn() -> io::Result<()>,
) -> Result<(), String> {
    let until = Instant::now() + EFFECT;
    loop {
        let state = state();
        if took_effect(signal, &state) {
            return Ok(());
        }
        if matches!(signal, Signal::Pause | Signal::Kill) {
            again().map_err(|error| format!("cannot be sent {signal}: {error}"))?;
        }
        if Instant::now() > until {
            return Err(format!("was sent {signal} and is {state} after {EFFECT:?}"));
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn took_effect(signal: Signal, state: &Process) -> bool {
    match signal {
        Signal::Kill => state.has_ended(),
        Signal::Pause => !matches!(state, Process::Running(_)),
        Signal::Resume => !matches!(state, Process::Paused(_)),
        Signal::Terminate => true,
    }
}

/// By the operating system's word.
pub(crate) fn life(pid: u32) -> ProcessState {
    match pid {
        _ if tree::has_ended(pid) => ProcessState::Ended,
        _ if tree::is_stopped(pid) => ProcessState::Paused,
        _ => ProcessState::Running,
    }
}

/// What the operating system says of a server's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    Running,
    /// State T, with all that came of it.
    Paused,
    /// Or never started.
    Ended,
}

impl ProcessState {
    pub fn has_ended(self) -> bool {
        self == ProcessState::Ended
    }
}

/// The same, with how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    Running(u32),
    Paused(u32),
    /// It has ended, and nobody has told yet how.
    Gone,
    Ended(String),
}

impl Process {
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Process::Running(pid) | Process::Paused(pid) => Some(*pid),
            Process::Gone | Process::Ended(_) => None,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.pid().is_none()
    }

    pub(crate) fn state(&self) -> ProcessState {
        match self {
            Process::Running(_) => ProcessState::Running,
            Process::Paused(_) => ProcessState::Paused,
            Process::Gone | Process::Ended(_) => ProcessState::Ended,
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Process::Running(pid) => write!(out, "running (pid {pid})"),
            Process::Paused(pid) => write!(out, "stopped (pid {pid}, state T)"),
            Process::Gone => write!(out, "ended"),
            Process::Ended(how) => write!(out, "{how}"),
        }
    }
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where it listens itself.
    pub(crate) address: SocketAddr,
    pub(crate) data: PathBuf,
    pub(crate) log: PathBuf,
}

const TAIL: usize = 12;

/// The end of a log, to be appended to a sentence; empty when there is none.
pub(crate) fn evidence(log: &Path) -> String {
    match tail(log, TAIL) {
        text if text.is_empty() => String::new(),
        text => format!("\n{}:\n{text}", log.display()),
    }
}

/// The last lines of a file, each with two spaces before it.
pub(crate) fn tail(file: &Path, lines: usize) -> String {
    let bytes = std::fs::read(file).unwrap_or_default();
    let end = &bytes[bytes.len().saturating_sub(64 << 10)..];
    let text = String::from_utf8_lossy(end);
    let all: Vec<&str> = text.lines().collect();
    let last = all[all.len().saturating_sub(lines)..].iter().map(|line| format!("  {line}"));
    last.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_runs_until_it_has_ended_reaped_or_not() {
        let mut child = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().expect("a process");
        assert_eq!(life(child.id()), ProcessState::Running);
        child.kill().expect("killed");
        while life(child.id()) == ProcessState::Running {
            std::thread::yield_now();
        }
        assert_eq!(life(child.id()), ProcessState::Ended, "a zombie");
        child.wait().expect("reaped");
        assert_eq!(life(child.id()), ProcessState::Ended);
    }
}
