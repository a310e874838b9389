//! Who is compared: the kernel alone, and servers. Another server is one more line here and one more part to play.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;

use system_server::config::Settings;
use system_server::{Node, Telemetry};

use super::floor;
use super::load::Load;
use super::process::Part;

/// How clients speak to it, and who makes the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It writes by itself, as it is told.
    Floor,
    /// A client sends and is acked.
    SocketIo,
}

pub(super) struct Contestant {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) part: Part,
    pub(super) address: SocketAddr,
}

const ALL: [(&str, Kind); 2] = [("write(2)", Kind::Floor), ("chat-node", Kind::SocketIo)];

impl Contestant {
    /// All of them, running.
    pub(super) fn all(load: &Load) -> Vec<Contestant> {
        let start = |(name, kind)| Contestant::start(name, kind, load).expect("a part of this program starts");
        ALL.into_iter().map(start).collect()
    }

    fn start(name: &'static str, kind: Kind, load: &Load) -> io::Result<Contestant> {
        let (mut part, words) = Part::start(name)?;
        writeln!(part.orders, "{} {} {}", load.rooms, load.members, load.per_second)?;
        let mut line = String::new();
        BufReader::new(words).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| io::Error::other(format!("no address: {line:?}")))?;
        Ok(Contestant { name, kind, part, address })
    }

    pub(super) fn is_floor(&self) -> bool {
        self.kind == Kind::Floor
    }

    pub(super) fn resident(&self) -> io::Result<u64> {
        self.part.resident()
    }
}

/// Plays a part until the standard input ends.
pub(super) fn play(part: &str) -> io::Result<()> {
    super::process::allow_descriptors();
    match part {
        "write(2)" => floor::play(),
        "chat-node" => play_node(),
        other => Err(io::Error::other(format!("no such part: {other}"))),
    }
}

/// The node as it is, with limits out of the way.
fn play_node() -> io::Result<()> {
    let arguments = ["chat-node", "--listen", "127.0.0.1:0", "--log", "warn", "--rate-limit", "1000000"];
    let settings = Settings::from_arguments(arguments.into_iter().chain(["--ping-interval", "1h"]));
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
