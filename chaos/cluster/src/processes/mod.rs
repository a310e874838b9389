//! The processes backend: every server a process of this machine, on a loopback address of its own.
//!
//! Linux only: all of 127.0.0.0/8 is local there, and a child can be told to die with its parent. What that child started
//! dies a moment later ([`reaper`]).

mod child;
mod reaper;
mod spawner;

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    ClusterError, ProcessState, Server,
    backend::{Backend, Launch, Place, Process, Signal, Verb, effect, evidence, life},
    ground::Ground,
};
use child::Child;

pub(crate) struct Processes {
    ground: Arc<Ground>,
    root: PathBuf,
    logs: PathBuf,
    children: Mutex<BTreeMap<Server, Child>>,
}

impl Processes {
    /// Data directories below `root`.
    pub(crate) fn new(ground: Arc<Ground>, root: PathBuf, logs: PathBuf) -> Processes {
        Processes { ground, root, logs, children: Mutex::default() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<Server, Child>) -> T) -> T {
        work(&mut self.children.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn spawn(&self, server: Server, launch: &Launch) -> io::Result<()> {
        let place = self.place(server);
        fs::create_dir_all(&place.data)?;
        fs::create_dir_all(&self.logs)?;
        let log = OpenOptions::new().create(true).append(true).open(&place.log)?;
        let mut command = Command::new(program(launch)?);
        if !launch.inherits {
            command.env_clear();
        }
        command.args(&launch.arguments).envs(&launch.environment);
        command.current_dir(launch.folder.as_ref().unwrap_or(&place.data));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let (first, mark) = spawner::spawn(command)?;
        let child = Child::new(first, mark);
        self.with(|children| children.insert(server, child));
        Ok(())
    }

    async fn send(&self, server: Server, signal: Signal) -> Result<(), ClusterError> {
        let failed = |why: String| ClusterError::Process { server, why, log: String::new() };
        let send = || self.with(|children| children.get_mut(&server).map(|child| child.signal(signal)));
        match send() {
            None => return Err(failed("was never started".to_owned())),
            Some(Err(error)) => return Err(failed(format!("cannot be sent {signal}: {error}"))),
            Some(Ok(())) => {}
        }
        effect(signal, || self.process(server), || send().unwrap_or(Ok(()))).await.map_err(failed)
    }
}

/// A path that is relative to our folder, not to the server's; a bare name is for the search path.
fn program(launch: &Launch) -> io::Result<PathBuf> {
    if launch.program.components().count() > 1 {
        std::path::absolute(&launch.program)
    } else {
        Ok(launch.program.clone())
    }
}

impl Backend for Processes {
    fn start<'a>(&'a self, server: Server, launch: &'a Launch) -> Verb<'a> {
        Box::pin(async move {
            if let Some(pid) = self.process(server).pid() {
                let why = format!("cannot be started: it runs already (pid {pid})");
                return Err(ClusterError::Process { server, why, log: String::new() });
            }
            self.spawn(server, launch).map_err(|error| ClusterError::Process {
                server,
                why: format!("{} cannot be started: {error}", launch.program.display()),
                log: evidence(&self.place(server).log),
            })
        })
    }

    fn signal(&self, server: Server, signal: Signal) -> Verb<'_> {
        Box::pin(self.send(server, signal))
    }

    fn process(&self, server: Server) -> Process {
        let never = || Process::Ended("was never started".to_owned());
        self.with(|children| children.get_mut(&server).map_or_else(never, Child::look))
    }

    /// With all that came of it; an earlier life had ended before the next was started.
    fn life(&self, server: Server, pid: u32) -> ProcessState {
        let now = self.with(|children| {
            children.get_mut(&server).filter(|child| child.pid() == pid).map(|child| child.look().state())
        });
        now.unwrap_or_else(|| life(pid))
    }

    fn place(&self, server: Server) -> Place {
        Place {
            address: self.ground.own(server),
            data: self.root.join(server.to_string()),
            log: self.logs.join(format!("{server}.log")),
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.with(|children| children.values_mut().for_each(Child::end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_is_relative_to_us_and_a_bare_name_is_left_to_the_search_path() {
        let run = |path: &str| {
            let launch = Launch { program: path.into(), inherits: true, ..Launch::default() };
            program(&launch).expect("a path")
        };
        assert_eq!(run("python3"), PathBuf::from("python3"));
        assert_eq!(run("/bin/true"), PathBuf::from("/bin/true"));
        assert!(run("target/debug/chat-node").is_absolute());
    }
}
