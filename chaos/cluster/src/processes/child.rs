//! One server that we started: a process, and what came of it. The id of that first process stays its own until it is
//! waited for here, so it can be signalled by id.

use std::{collections::BTreeMap, io, os::unix::process::ExitStatusExt, process};

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
    first: process::Child,
    /// In the environment of all that came of it.
    mark: String,
    /// What came of it, and when that was started: kept in mind until it has ended. While it is ending it has no environment
    /// to be found by any more, and still its port.
    seen: BTreeMap<u32, u64>,
    /// Once all of them have ended: how the first did.
    ended: Option<String>,
}

impl Child {
    pub(super) fn new(first: process::Child, mark: String) -> Child {
        Child { first, mark, seen: BTreeMap::new(), ended: None }
    }

    pub(super) fn pid(&self) -> u32 {
        self.first.id()
    }

    /// To its process group, and to what came of it and is not in that group. No error when all have ended already.
    pub(super) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.look().has_ended() {
            return Ok(());
        }
        // Looked for before a kill: afterwards some are nobody's.
        let mut others = self.others();
        // The id of its group is its own as long as it is not waited for.
        if matches!(self.first.try_wait(), Ok(None)) {
            let group = Pid::from_raw(self.pid().cast_signed());
            others.retain(|pid| getpgid(Some(Pid::from_raw(pid.cast_signed()))) != Ok(group));
            match killpg(group, signal.number()) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        tree::send(others, signal.number())
    }

    pub(super) fn look(&mut self) -> Process {
        if let Some(how) = &self.ended {
            return Process::Ended(how.clone());
        }
        let pid = self.pid();
        let how = match self.first.try_wait() {
            Ok(None) if tree::stopped(pid) && tree::are_stopped(&self.others()) => return Process::Paused(pid),
            Ok(None) => return Process::Running(pid),
            Ok(Some(status)) => ended(status),
            Err(error) => format!("cannot be waited for: {error}"),
        };
        match self.others() {
            others if others.is_empty() => Process::Ended(self.ended.insert(how).clone()),
            others if tree::are_stopped(&others) => Process::Paused(pid),
            _ => Process::Running(pid),
        }
    }

    /// What came of it and has not ended.
    fn others(&mut self) -> Vec<u32> {
        let found = tree::marked(&self.mark).into_iter().chain(tree::descendants(self.pid()));
        self.seen.extend(found.filter_map(|pid| Some((pid, tree::started(pid)?))));
        let first = self.pid();
        self.seen
            .retain(|pid, started| *pid != first && !tree::has_ended(*pid) && tree::started(*pid) == Some(*started));
        self.seen.keys().copied().collect()
    }

    /// Kills it and waits for it.
    pub(super) fn end(&mut self) {
        if self.signal(Signal::Kill).is_ok() {
            let _ = self.first.wait();
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
