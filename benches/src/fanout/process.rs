//! What Linux says of a process, and on which core it runs.

use std::fs;
use std::io;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

/// Which core is the clients'; the other one is the servers'.
pub(super) const CLIENTS: usize = 1;
const SERVERS: usize = 0;

/// On a machine with one core both share it.
pub(super) fn pin(core: usize) {
    let mut set = CpuSet::new();
    if set.set(core).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}

/// The clients of all contestants are one process's.
const DESCRIPTORS: u64 = 65_536;

/// As many as are needed, or as the hard limit allows to who may not raise it.
pub(super) fn allow_descriptors() {
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let most = hard.max(DESCRIPTORS);
    if setrlimit(Resource::RLIMIT_NOFILE, most, most).is_err() {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Connections that clients may have now, with some descriptors left for the rest.
pub(super) fn connections() -> usize {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(now, _)| now as usize).saturating_sub(100)
}

/// A contestant in a process of its own. It ends with its standard input.
pub(super) struct Part {
    child: Child,
    pub(super) orders: ChildStdin,
}

impl Part {
    /// On the servers' core, which it has from the thread that starts it.
    pub(super) fn start(mut command: Command) -> io::Result<(Part, ChildStdout)> {
        pin(SERVERS);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        pin(CLIENTS);
        let mut child = child?;
        let taken = (child.stdin.take(), child.stdout.take());
        let (Some(orders), Some(words)) = taken else { return Err(io::ErrorKind::BrokenPipe.into()) };
        Ok((Part { child, orders }, words))
    }

    /// Nanoseconds that all its threads had a core.
    pub(super) fn core_time(&self) -> io::Result<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            sum +=
                text.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).ok_or(io::ErrorKind::InvalidData)?;
        }
        Ok(sum)
    }

    /// Bytes in memory.
    pub(super) fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
