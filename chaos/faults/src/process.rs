//! What the operating system says of a process: the evidence for faults that hit processes, whatever the harness
//! believes that it did.

use std::fs;

/// From `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No such process, or one that only waits to be reaped.
    Gone,
    /// Stopped by a signal.
    Stopped,
    Running,
}

pub(crate) fn state(pid: u32) -> State {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return State::Gone };
    // The command's name is in parentheses and may hold anything, also parentheses.
    match stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next()) {
        None | Some('Z' | 'X') => State::Gone,
        Some('T') => State::Stopped,
        Some(_) => State::Running,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn a_process_runs_until_it_is_gone_reaped_or_not() {
        let mut child = sleeper();
        assert_eq!(state(child.id()), State::Running);
        child.kill().unwrap();
        while state(child.id()) == State::Running {
            std::thread::yield_now();
        }
        assert_eq!(state(child.id()), State::Gone, "a zombie");
        child.wait().unwrap();
        assert_eq!(state(child.id()), State::Gone);
    }
}
