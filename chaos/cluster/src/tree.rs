//! The tree of a server's processes: the one that was started, and what came of it.
//!
//! A server may be started by a shell, by npm, or by a process that goes away at once. What is done to that first process
//! alone does nothing to the server, and what is seen of it alone proves nothing.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// What came of a process, without itself: its children (of each of its threads), their children, and so on.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let mut found = children(pid);
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children(*pid));
        next += 1;
    }
    found
}

fn children(pid: u32) -> Vec<u32> {
    let lists = threads(pid).filter_map(|thread| fs::read_to_string(thread.join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

fn threads(pid: u32) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().map(|thread| thread.path())
}

/// To each that has not ended meanwhile.
pub(crate) fn send(pids: impl IntoIterator<Item = u32>, signal: Signal) -> io::Result<()> {
    for pid in pids {
        match kill(Pid::from_raw(pid.cast_signed()), signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(io::Error::other(format!("its process {pid}: {}", error.desc()))),
        }
    }
    Ok(())
}

/// Those that were started with this in their environment (`NAME=value`), wherever they went since: what begins a session
/// of its own and is orphaned is nobody's descendant. Who overwrites its environment, as Redis does for its title, is not
/// found so, nor who is ending: its memory goes before its sockets do, a gigabyte in a second.
pub(crate) fn marked(mark: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_marked = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    pids.filter(is_marked).collect()
}

/// It does nothing: it is stopped, and so is all that came of it and has not ended.
pub(crate) fn is_stopped(pid: u32) -> bool {
    stopped(pid) && are_stopped(&descendants(pid))
}

/// All that have not ended.
pub(crate) fn are_stopped(pids: &[u32]) -> bool {
    pids.iter().all(|pid| stopped(*pid) || has_ended(*pid))
}

/// T: by a signal; t: by whoever traces it. A thread in state D stops before it goes on; where none has stopped yet, it
/// waits for a child that was stopped before it became another program (vfork).
pub(crate) fn stopped(pid: u32) -> bool {
    let is_stopped = |state: &char| matches!(state, 'T' | 't');
    let states = states(pid);
    states.iter().all(|state| is_stopped(state) || *state == 'D')
        && (states.iter().any(is_stopped)
            || children(pid).into_iter().any(|child| self::states(child).iter().any(is_stopped)))
}

/// One that only waits to be reaped has ended.
pub(crate) fn has_ended(pid: u32) -> bool {
    states(pid).is_empty()
}

/// Of its threads that have not ended: the first may have, and what the others serve is still there.
fn states(pid: u32) -> Vec<char> {
    let states = threads(pid).filter_map(|thread| stat(&thread)?.chars().next());
    states.filter(|state| !matches!(state, 'Z' | 'X')).collect()
}

/// When it was started, in ticks since the machine was: another process that has its id later was started later.
pub(crate) fn started(pid: u32) -> Option<u64> {
    // Field 22 of proc_pid_stat(5), whose field 3 is the state.
    stat(Path::new(&format!("/proc/{pid}")))?.split_whitespace().nth(22 - 3)?.parse().ok()
}

/// From the state on. It is the first word behind the last parenthesis: the name before it may hold any character.
fn stat(folder: &Path) -> Option<String> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    stat.rsplit_once(')').map(|(_, rest)| rest.trim_start().to_owned())
}

/// The ids that it and what came of it have for themselves: in a container these are others than ours.
pub(crate) fn own_ids(pid: u32) -> Vec<u32> {
    [pid].into_iter().chain(descendants(pid)).filter_map(own_id).collect()
}

fn own_id(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    ids.split_whitespace().next_back()?.parse().ok()
}
