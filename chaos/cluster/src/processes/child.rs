//! One process that we started. Its id stays its own until it is waited for here, so it can be signalled by id.

use std::{io, os::unix::process::ExitStatusExt, process};

use nix::{
    errno::Errno,
    sys::signal::{Signal as Number, killpg},
    unistd::Pid,
};

use crate::backend::{Process, Signal, is_stopped};

pub(super) struct Child {
    process: process::Child,
}

impl Child {
    pub(super) fn new(process: process::Child) -> Child {
        Child { process }
    }

    /// To its process group, so that what it started goes with it. No error when it has ended already.
    pub(super) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.look().has_ended() {
            return Ok(());
        }
        let number = match signal {
            Signal::Kill => Number::SIGKILL,
            Signal::Terminate => Number::SIGTERM,
            Signal::Pause => Number::SIGSTOP,
            Signal::Resume => Number::SIGCONT,
        };
        match killpg(self.group(), number) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn look(&mut self) -> Process {
        let pid = self.process.id();
        match self.process.try_wait() {
            Ok(None) if is_stopped(pid) => Process::Paused(pid),
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

    fn group(&self) -> Pid {
        Pid::from_raw(self.process.id().cast_signed())
    }
}

fn ended(status: process::ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("ended by signal {signal}"),
        (None, Some(code)) => format!("ended with exit code {code}"),
        (None, None) => "ended".to_owned(),
    }
}
