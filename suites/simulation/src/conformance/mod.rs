//! Is the model honest? One script of commands, run on the model and on real servers, must get the same answers.
//!
//! What differs by nature (ids of nodes, addresses, offsets, epochs) is compared by shape. A rule of the model that no
//! line of the script touches is only as good as the source named beside it.

pub mod modelled;
pub mod real;
pub mod script;
pub mod shape;

use std::io::Write as _;
use std::path::Path;
use std::{env, io};

use chaos_cluster::{EngineChoice, EngineName, Places, cache_folder, find_or_fetch};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisConnectionInfo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::model::WaitRule;

/// A primary with all slots and its replica, wherever they run.
pub struct Pair {
    pub primary: MultiplexedConnection,
    replica: MultiplexedConnection,
    pushes: mpsc::UnboundedReceiver<PushInfo>,
    control: Box<dyn Control>,
}

/// What the script does to the replica's process, and a second connection to the primary.
pub trait Control {
    fn pause_replica(&mut self, paused: bool);
    fn fresh(&mut self) -> std::pin::Pin<Box<dyn Future<Output = MultiplexedConnection> + '_>>;
}

/// A connection as the delivery code opens them: RESP3, pushes on the side.
async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
) -> (MultiplexedConnection, mpsc::UnboundedReceiver<PushInfo>) {
    let (to, pushes) = mpsc::unbounded_channel();
    let info = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
    let config = AsyncConnectionConfig::new().set_push_sender(to).set_response_timeout(None);
    let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await.expect("HELLO 3");
    tokio::spawn(driver);
    (connection, pushes)
}

fn transcript_of_model(rule: WaitRule) -> Vec<String> {
    modelled::with_pair(rule, |mut pair| async move { script::run(&mut pair).await })
}

fn transcript_of(program: &Path, libraries: Option<&Path>) -> Vec<String> {
    real::with_pair(program, libraries, |mut pair| async move { script::run(&mut pair).await })
}

fn agree(name: &str, real: &[String], model: &[String]) {
    let wrong: Vec<_> = real.iter().zip(model).filter(|(real, model)| real != model).collect();
    let lines: Vec<_> = wrong.iter().map(|(real, model)| format!("  {name}: {real}\n  model: {model}")).collect();
    assert!(lines.is_empty() && real.len() == model.len(), "the model and {name} differ:\n{}", lines.join("\n"));
}

/// Every engine that can be fetched. In CI one that can't be is a failure; elsewhere it is said, past the test harness,
/// which shows nothing of a test that passes.
#[test]
fn the_model_answers_as_real_servers_do() {
    let places = Places {
        given: None,
        path: env::var_os("PATH"),
        cache: cache_folder(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")),
        fetch: true,
    };
    for name in EngineName::ALL {
        let said = |step: &str| eprintln!("engine {}: {step}", name.as_str());
        match find_or_fetch(EngineChoice::Named(name), &places, &said) {
            Ok(engine) => {
                let old = name == EngineName::Redis70;
                let rule = if old { WaitRule::EveryCommand } else { WaitRule::PropagatingOnly };
                let real = transcript_of(&engine.program, engine.library_path.as_deref());
                agree(&engine.to_string(), &real, &transcript_of_model(rule));
            }
            Err(error) if env::var_os("CI").is_some() => panic!("{}: {error}", name.as_str()),
            Err(error) => {
                let _ = writeln!(io::stderr(), "conformance was NOT run on {}: {error}", name.as_str());
            }
        }
    }
}
