//! Ctrl-C, SIGTERM and a closed terminal ask the run to heal and end (exit 4). Ctrl-C or SIGTERM once more ends it at once;
//! a terminal tells of its end as often as it likes.

use std::fs;
use std::io;

use chaos_drill::Exit;
use chaos_drill::Stop;
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::terminal;

/// Turns signals into a request to stop, for as long as the runtime lives.
pub(crate) fn on_signals(stop: Stop) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = if is_hangup_ignored()? { None } else { Some(signal(SignalKind::hangup())?) };
    tokio::spawn(async move {
        let mut told = false;
        loop {
            tokio::select! {
                Some(()) = async { hangup.as_mut()?.recv().await } => {
                    stop.now("its terminal was closed");
                    continue;
                }
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if told {
                // Processes die with this one (parent-death signal); containers go a moment later, by a child that outlives
                // it. So nothing is left behind.
                std::process::exit(i32::from(Exit::Aborted.code()));
            }
            told = true;
            terminal::remark("interrupted: healing and ending; once more ends at once");
            stop.now("interrupted");
        }
    });
    Ok(())
}

/// What `nohup` starts goes on without its terminal.
fn is_hangup_ignored() -> io::Result<bool> {
    let status = fs::read_to_string("/proc/self/status")?;
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    Ok(ignored.is_some_and(|ignored| ignored >> (Signal::SIGHUP as u32 - 1) & 1 == 1))
}
