//! The one thread that starts processes.
//!
//! A parent-death signal follows the *thread* that started the child: started from a test's thread, a server would die
//! with that test; started from a pool, with the pool. This one waits for work until the whole process ends, whatever
//! ends it, and then the kernel kills its children, and the [`Reaper`] what came of them.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command},
    sync::{Mutex, PoisonError, mpsc},
};

use nix::{
    sys::{prctl, signal::Signal},
    unistd::{Pid, getpid, getppid},
};

use super::reaper::Reaper;

/// With what is in the environment of all that comes of it.
type Started = (Child, String);
type Order = (Command, mpsc::SyncSender<io::Result<Started>>);

static SPAWNER: Mutex<Option<mpsc::Sender<Order>>> = Mutex::new(None);

/// Starts it in a process group of its own, to be killed when this process ends.
pub(crate) fn spawn(command: Command) -> io::Result<Started> {
    let (answer, answered) = mpsc::sync_channel(1);
    let gone = || io::Error::other("the thread that starts processes is gone");
    spawner()?.send((command, answer)).map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())?
}

fn spawner() -> io::Result<mpsc::Sender<Order>> {
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(orders) = &*spawner {
        return Ok(orders.clone());
    }
    let mut reaper = Reaper::start()?;
    let (orders, incoming) = mpsc::channel::<Order>();
    std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
        for (mut command, answer) in incoming {
            let mark = reaper.mark(&mut command);
            let started = bind_to_this_thread(&mut command).spawn().map(|child| (child, mark));
            // Nobody waits for the answer only if the caller's thread died.
            let _ = answer.send(started);
        }
    })?;
    Ok(spawner.insert(orders).clone())
}

/// The signal can only be set in the child, before it becomes the server.
fn bind_to_this_thread(command: &mut Command) -> &mut Command {
    let parent = getpid();
    command.process_group(0);
    // SAFETY: between fork and exec only async-signal-safe calls are made: prctl and getppid, no allocation, no lock.
    unsafe { command.pre_exec(move || die_with(parent)) }
}

fn die_with(parent: Pid) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have died before the signal was set.
    if getppid() == parent { Ok(()) } else { Err(nix::errno::Errno::ESRCH.into()) }
}
