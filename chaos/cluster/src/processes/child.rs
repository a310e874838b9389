//! One process that we started. Its id stays its own until it is waited for here, so it can be signalled by id.

use std::{io, os::unix::process::ExitStatusExt, process};

use nix::{
    errno::Errno,
    sys::signal::killpg,
    unistd::{Pid, getpgid},
};

use crate::{
    backend::{Process, Signal},
    tree,
};

pub(super) struct Child {
    process: process::Child,
}

impl Child {
    pub(super) fn new(process: process::Child) -> Child {
        Child { process }
    }

    /// To its process group, and to what came of it and left that group. No error when it has ended already.
    pub(super) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.look().has_ended() {
            return Ok(());
        }
        let group = Pid::from_raw(self.process.id().cast_signed());
        let outside = |pid: &u32| getpgid(Some(Pid::from_raw(pid.cast_signed()))) != Ok(group);
        // Looked for before a kill: afterwards they are nobody's.
        let outsiders: Vec<u32> = tree::descendants(self.process.id()).into_iter().filter(outside).collect();
        match killpg(group, signal.number()) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error.into()),
        }
        tree::send(outsiders, signal.number())
    }

    pub(super) fn look(&mut self) -> Process {
        let pid = self.process.id();
        match self.process.try_wait() {
            Ok(None) if tree::is_stopped(pid) => Process::Paused(pid),
            Ok(None) => Process::Running(pid),
            Ok(Some(status)) => Process::Ended(ended(status)),
            Err(error) => Process::Ended(format!("cannot be waited for: {error}")),
        }
    }

    /// Kills it and waits for it.
    pub(super) fn end(&mut self) {
        if self.signal(Signal::Kill).is_ok() {
            let _ = self.process.wait();
        }
    }
}

fn ended(status: process::ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("ended by signal {signal}"),
        (None, Some(code)) => format!("ended with exit code {code}"),
        (None, None) => "ended".to_owned(),
    }
}
