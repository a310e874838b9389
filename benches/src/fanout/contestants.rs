//! Who is compared: the kernel alone, and servers. Another server is one more line here and one more part to play.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::Command;

use system_server::config::Settings;
use system_server::{Node, Telemetry};

use super::load::Load;
use super::process::Part;
use super::{floor, npm, stock};

/// How clients speak to it, and who makes the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It writes by itself, as it is told.
    Floor,
    /// A client sends and is acked.
    SocketIo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entrant {
    name: &'static str,
    /// Bytes from which on it compresses; `None`: it does not.
    deflate: Option<usize>,
}

const fn plain(name: &'static str) -> Entrant {
    Entrant { name, deflate: None }
}

const fn deflate(name: &'static str, threshold: usize) -> Entrant {
    Entrant { name, deflate: Some(threshold) }
}

const FLOOR: &str = "write(2)";
const NODE: &str = "chat-node";
const STOCK: &str = "socketioxide";
const SOCKET_IO: &str = "socket.io";

pub(super) const OURS: &[Entrant] = &[plain(FLOOR), plain(NODE)];
pub(super) const PEERS: &[Entrant] =
    &[plain(FLOOR), plain(NODE), deflate(NODE, 0), plain(STOCK), plain(SOCKET_IO), deflate(SOCKET_IO, 0)];
/// 1024 is what each of them does by itself.
pub(super) const COMPRESSED: &[Entrant] = &[
    plain(FLOOR),
    plain(NODE),
    deflate(NODE, 0),
    deflate(NODE, 1024),
    plain(SOCKET_IO),
    deflate(SOCKET_IO, 0),
    deflate(SOCKET_IO, 1024),
];

impl Entrant {
    pub(super) fn is_floor(self) -> bool {
        self.name == FLOOR
    }

    /// Why it cannot take part here.
    pub(super) fn absent(self) -> Option<String> {
        (self.name == SOCKET_IO).then(npm::missing).flatten()
    }

    pub(super) fn name(self) -> String {
        let name = if self.name == SOCKET_IO { npm::version() } else { self.name.to_owned() };
        self.deflate.map_or_else(|| name.clone(), |threshold| format!("{name}, deflate from {threshold}"))
    }

    fn command(self) -> io::Result<Command> {
        let threshold = self.deflate.map_or_else(|| "off".to_owned(), |threshold| threshold.to_string());
        if self.name == SOCKET_IO {
            let mut command = npm::server();
            command.args(["--end-with-input", "--ping-interval", "3600000", "--deflate", &threshold]);
            return Ok(command);
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--part", self.name, &threshold]);
        Ok(command)
    }
}

pub(super) struct Contestant {
    entrant: Entrant,
    pub(super) part: Part,
    pub(super) address: SocketAddr,
}

impl Contestant {
    pub(super) fn start(entrant: Entrant, load: &Load) -> io::Result<Contestant> {
        let (mut part, words) = Part::start(entrant.command()?)?;
        if entrant.is_floor() {
            writeln!(part.orders, "{} {} {}", load.connections(), load.audience(), load.per_second)?;
        }
        let mut line = String::new();
        BufReader::new(words).read_line(&mut line)?;
        let no_address = || io::Error::other(format!("{}: no address: {line:?}", entrant.name()));
        let address = line.trim().parse().map_err(|_| no_address())?;
        Ok(Contestant { entrant, part, address })
    }

    pub(super) fn kind(&self) -> Kind {
        if self.entrant.is_floor() { Kind::Floor } else { Kind::SocketIo }
    }

    pub(super) fn compresses(&self) -> bool {
        self.entrant.deflate.is_some()
    }

    pub(super) fn name(&self) -> String {
        self.entrant.name()
    }
}

/// Plays a part until the standard input ends.
pub(super) fn play(part: &str, threshold: &str) -> io::Result<()> {
    match part {
        FLOOR => floor::play(),
        NODE => play_node(threshold),
        STOCK => {
            std::thread::spawn(|| {
                let _ = io::stdin().read_to_end(&mut Vec::new());
                std::process::exit(0);
            });
            stock::play()
        }
        other => Err(io::Error::other(format!("no such part: {other}"))),
    }
}

/// The node as it is, with limits out of the way.
fn play_node(threshold: &str) -> io::Result<()> {
    let arguments = ["chat-node", "--listen", "127.0.0.1:0", "--log", "warn", "--rate-limit", "1000000"];
    let settings = Settings::from_arguments(arguments.into_iter().chain([
        "--ping-interval",
        "1h",
        "--deflate-threshold",
        threshold,
    ]));
    let settings = settings.map_err(|wrong| io::Error::other(wrong.to_string()))?;
    let telemetry = Telemetry::start(&settings);
    let listener = Node::bind(&settings).map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let node = Node::start(settings, listener, &telemetry).map_err(io::Error::other)?;
    writeln!(io::stdout(), "{}", node.address())?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
