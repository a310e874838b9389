//! Is the model honest? One script of commands, run on the model and on real servers, must get the same answers.
//!
//! What differs by nature (ids of nodes, addresses, offsets, epochs) is compared by shape. A rule of the model that no
//! line of the script touches is only as good as the source named beside it.

pub mod modelled;
pub mod moving;
pub mod real;
pub mod replaced;
pub mod script;
pub mod shape;

use std::io::Write as _;
use std::path::Path;
use std::pin::Pin;
use std::{env, io, thread};

use chaos_cluster::{Engine, EngineChoice, EngineName, Places, cache_folder, find_or_fetch};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisConnectionInfo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::model::{Settings, WaitRule};

type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A primary with all slots and its replica, wherever they run.
pub struct Pair {
    pub primary: MultiplexedConnection,
    replica: MultiplexedConnection,
    pushes: mpsc::UnboundedReceiver<PushInfo>,
    control: Box<dyn Control>,
}

/// What the script does to the two processes, and further connections to the one that begins as primary.
pub trait Control {
    fn pause_replica(&mut self, paused: bool);
    fn fresh(&mut self) -> Soon<'_, MultiplexedConnection>;
    /// Once a client waits at the primary, the replica takes its place without asking: CLUSTER FAILOVER TAKEOVER.
    fn replace(&mut self) -> Soon<'_, ()>;
    /// The process of the one that began as replica ends.
    fn kill_replica(&mut self);
    /// The process of the one that began as primary ends and starts again.
    fn restart_primary(&mut self);
}

/// Two primaries with half of the slots each, and no replica.
pub struct Halves {
    first: MultiplexedConnection,
    second: MultiplexedConnection,
    /// Of the first.
    pushes: mpsc::UnboundedReceiver<PushInfo>,
    operator: Box<dyn Operator>,
}

/// What the script does to the two.
pub trait Operator {
    /// A slot of the first begins to move to the second: CLUSTER SETSLOT IMPORTING and MIGRATING.
    fn begin(&mut self, slot: u16) -> Soon<'_, ()>;
    /// MIGRATE.
    fn move_key<'a>(&'a mut self, key: &'a str) -> Soon<'a, ()>;
    /// CLUSTER SETSLOT NODE, at the second and then at the first.
    fn end(&mut self, slot: u16) -> Soon<'_, ()>;
    fn pause_second(&mut self, paused: bool);
    /// `cluster-allow-reads-when-down yes`, at the first.
    fn allow_reads_when_down(&mut self) -> Soon<'_, ()>;
}

/// `stream-node-max-entries` of all: a trim finds something in a stream of a few lines.
const STREAM_BLOCK: usize = 10;

impl Pair {
    fn of(control: Box<dyn Control>, [(primary, pushes), (replica, _)]: [Connected; 2]) -> Pair {
        Pair { primary, replica, pushes, control }
    }
}

impl Halves {
    fn of(operator: Box<dyn Operator>, [(first, pushes), (second, _)]: [Connected; 2]) -> Halves {
        Halves { first, second, pushes, operator }
    }
}

type Connected = (MultiplexedConnection, mpsc::UnboundedReceiver<PushInfo>);

/// A connection as the delivery code opens them: RESP3, pushes on the side.
async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Connected {
    let (to, pushes) = mpsc::unbounded_channel();
    let info = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
    let config = AsyncConnectionConfig::new().set_push_sender(to).set_response_timeout(None);
    let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await.expect("HELLO 3");
    tokio::spawn(driver);
    (connection, pushes)
}

fn on_model(settings: Settings) -> Vec<String> {
    let mut said = modelled::with_pair(settings.clone(), |mut pair| async move { script::run(&mut pair).await });
    said.extend(modelled::with_halves(
        settings,
        moving::slot(),
        |mut halves| async move { moving::run(&mut halves).await },
    ));
    said
}

/// The two clusters at once: most of it is waiting.
fn on_servers(program: &Path, libraries: Option<&Path>) -> Vec<String> {
    thread::scope(|scope| {
        let halves = scope.spawn(|| {
            real::with_halves(program, libraries, |mut halves| async move { moving::run(&mut halves).await })
        });
        let mut said = real::with_pair(program, libraries, |mut pair| async move { script::run(&mut pair).await });
        said.extend(halves.join().expect("two primaries"));
        said
    })
}

/// In what engines differ from each other, and the model with them.
fn modelled_as(name: EngineName) -> Settings {
    let old = name == EngineName::Redis70;
    let wait_rule = if old { WaitRule::EveryCommand } else { WaitRule::PropagatingOnly };
    Settings { wait_rule, demotion_unblocks: name != EngineName::Valkey91, ..Settings::default() }
}

/// Where the model differs from an engine; nothing where it doesn't.
fn differences(name: EngineName, engine: &Engine) -> Option<String> {
    let (real, model) = (on_servers(&engine.program, engine.library_path.as_deref()), on_model(modelled_as(name)));
    let wrong = real.iter().zip(&model).filter(|(real, model)| real != model);
    let lines: Vec<_> = wrong.map(|(real, model)| format!("  {engine}: {real}\n  model: {model}")).collect();
    let differ = !lines.is_empty() || real.len() != model.len();
    differ.then(|| format!("the model and {engine} differ:\n{}", lines.join("\n")))
}

/// Every engine that can be fetched, all at once. In CI one that can't be is a failure; elsewhere it is said, past the test
/// harness, which shows nothing of a test that passes.
#[test]
fn the_model_answers_as_real_servers_do() {
    let places = Places {
        given: None,
        path: env::var_os("PATH"),
        cache: cache_folder(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")),
        fetch: true,
    };
    let mut engines = Vec::new();
    for name in EngineName::FETCHED {
        let said = |step: &str| eprintln!("engine {}: {step}", name.as_str());
        match find_or_fetch(EngineChoice::Named(name), &places, &said) {
            Ok(engine) => {
                engines.push((name, engine));
            }
            Err(error) if env::var_os("CI").is_some() => panic!("{}: {error}", name.as_str()),
            Err(error) => {
                let _ = writeln!(io::stderr(), "conformance was NOT run on {}: {error}", name.as_str());
            }
        }
    }
    let wrong: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = engines.iter().map(|(name, engine)| scope.spawn(|| differences(*name, engine))).collect();
        runs.into_iter().filter_map(|run| run.join().expect("a whole script")).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
