//! What Linux says of a process, and on which core it runs.

use std::fs;
use std::io;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

/// On a machine with one core both share it.
pub(super) fn pin(core: usize) {
    let mut set = CpuSet::new();
    if set.set(core).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}

/// As many as the hard limit allows; the clients of all contestants are ours.
pub(super) fn allow_descriptors() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// A part played by this program in another process. It ends with its standard input.
pub(super) struct Part {
    child: Child,
    pub(super) orders: ChildStdin,
}

impl Part {
    pub(super) fn start(name: &str) -> io::Result<(Part, ChildStdout)> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(["--part", name]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
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
