//! `chat-node`: settings, logs, node, SIGTERM, drain.

use std::io::Write;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use system_server::config::{Settings, WrongSetting};
use system_server::{Node, Telemetry};
use tokio::signal::unix::{SignalKind, signal};

const WRONG_SETTING: u8 = 2;
/// How long finished spans may take to leave, at the very end of a drain that may take longer.
const FLUSH: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let settings = match Settings::from_process() {
        Ok(settings) => settings,
        Err(WrongSetting::Asked(text)) => {
            let _ = write!(std::io::stdout(), "{text}");
            return ExitCode::SUCCESS;
        }
        Err(wrong) => return refuse(&wrong),
    };
    let listener = match Node::bind(&settings) {
        Ok(listener) => listener,
        Err(error) => return refuse(&error),
    };
    let telemetry = Telemetry::start(&settings);
    tracing::info!(node = settings.node_id, version = env!("CARGO_PKG_VERSION"), "starting");
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    allow_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    let flush = FLUSH.min(settings.drain_within / 6);
    let code = runtime.block_on(run(settings, listener, &telemetry));
    runtime.shutdown_background();
    telemetry.flush(flush);
    code
}

async fn run(settings: Settings, listener: TcpListener, telemetry: &Telemetry) -> ExitCode {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return refuse(&"signals cannot be handled");
    };
    let node = match Node::start(settings, listener, telemetry) {
        Ok(node) => node,
        Err(error) => return refuse(&error),
    };
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    node.drain().await;
    ExitCode::SUCCESS
}

/// Every connection is one, and what a shell allows is few: as many as the system lets us have.
fn allow_descriptors() {
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

/// One line, whatever went wrong.
fn refuse(why: &dyn std::fmt::Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "chat-node: {why}");
    ExitCode::from(WRONG_SETTING)
}
