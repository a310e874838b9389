//! Is the model honest? One script of commands, run on the model and on real servers, must get the same answers.
//!
//! What differs by nature (ids of nodes, addresses, offsets, epochs) is compared by shape. A rule of the model that no
//! line of the script touches is only as good as the source named beside it.

pub mod modelled;
pub mod real;
pub mod script;
pub mod shape;

use std::path::{Path, PathBuf};

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

/// Where a developer or CI put engines: `name=program` with its libraries' folder behind a `@`, separated by commas.
fn engines() -> Vec<(String, PathBuf, Option<PathBuf>)> {
    let given = std::env::var("HOLDFAST_CONFORMANCE_ENGINES").unwrap_or_default();
    let one = |entry: &str| {
        let (name, place) = entry.split_once('=')?;
        let (program, libraries) = place.split_once('@').map_or((place, None), |(program, at)| (program, Some(at)));
        Some((name.to_owned(), PathBuf::from(program), libraries.map(PathBuf::from)))
    };
    given.split(',').filter_map(one).collect()
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

#[test]
fn the_model_answers_as_real_servers_do() {
    let engines = engines();
    if engines.is_empty() {
        transcript_of_model(WaitRule::PropagatingOnly);
    }
    for (name, program, libraries) in engines {
        let rule = if name.contains("7.0") { WaitRule::EveryCommand } else { WaitRule::PropagatingOnly };
        agree(&name, &transcript_of(&program, libraries.as_deref()), &transcript_of_model(rule));
    }
}
