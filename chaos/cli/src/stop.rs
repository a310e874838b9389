//! Ctrl-C and SIGTERM: the first asks the run to heal and end (exit 4), the second ends at once, as SIGHUP
//! does, which nothing here handles.

use chaos_drill::Exit;
use chaos_drill::Stop;
use tokio::signal::unix::{SignalKind, signal};

use crate::terminal;

/// Turns signals into a request to stop, for as long as the runtime lives.
pub(crate) fn on_signals(stop: Stop) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        for times in 1.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if times == 1 {
                terminal::remark("interrupted: healing and ending; once more ends at once");
                stop.now("interrupted");
            } else {
                // Processes die with this one (parent-death signal); containers go a moment later, by a child that outlives
                // it. So nothing is left behind.
                std::process::exit(i32::from(Exit::Aborted.code()));
            }
        }
    });
    Ok(())
}
