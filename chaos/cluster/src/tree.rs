//! The tree of a server's processes: the one that was started, and what came of it.
//!
//! A server may be started by a shell, by npm or by a process that only waits for it. What is done to that first process
//! alone does nothing to the server, and what is seen of it alone proves nothing.

use std::{fs, io};

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
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
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

/// None of them does anything: it is stopped, and so is all that came of it and has not ended.
pub(crate) fn is_stopped(pid: u32) -> bool {
    let idle = |pid: &u32| matches!(state(*pid), None | Some('T' | 't' | 'Z' | 'X'));
    matches!(state(pid), Some('T' | 't')) && descendants(pid).iter().all(idle)
}

/// One that only waits to be reaped has ended.
pub(crate) fn has_ended(pid: u32) -> bool {
    matches!(state(pid), None | Some('Z' | 'X'))
}

/// T: stopped by a signal; t: by whoever traces it. It is the first word behind the last parenthesis: the name before it
/// may hold any character.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next())
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
