//! A running deployment as data: where its servers are, the operator's own commands, and what may be touched.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

use chaos_observe::Length;
use serde::{Deserialize, Serialize};

use crate::Server;

/// What a file of `--deployment` says. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Who runs a drill on it must give this name again.
    pub name: String,
    /// One sentence: what it is.
    pub title: String,
    /// Where its file lies; commands run there.
    pub folder: PathBuf,
    pub redis: Access,
    /// `chat-1` first, one place for each node: behind a balancer nobody knows whom a fault hits.
    pub chat: Vec<Endpoint>,
    /// How long its nodes hold what was sent.
    pub history_window: Length,
    pub commands: Commands,
    pub radius: Radius,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// `redis-1` first.
    pub nodes: Vec<Endpoint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its first line is the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

/// Written `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

/// What a command does to one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// At once, as SIGKILL does.
    Kill,
    /// Asked to go.
    Stop,
    Start,
    /// It hangs, its connections stay.
    Pause,
    Wake,
    /// From all others of the deployment; its connections stay.
    Cut,
    Heal,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commands {
    /// One that takes longer has failed.
    pub within: Length,
    /// A server that was started serves by then.
    pub up_within: Length,
    /// By `redis`, `chat`, or one server's name, which goes first.
    pub of: BTreeMap<String, BTreeMap<Act, Vec<String>>>,
}

/// The blast radius: nothing else is touched, whatever a drill asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Radius {
    pub servers: BTreeSet<Server>,
    /// How many may be out of order at the same time.
    pub at_once: u8,
    /// Longest time that one is, until it serves again.
    pub longest: Length,
    /// Where a file of this name appears, the drill ends and puts everything back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_file: Option<PathBuf>,
}

impl Act {
    pub const ALL: [Act; 7] = [Act::Kill, Act::Stop, Act::Start, Act::Pause, Act::Wake, Act::Cut, Act::Heal];

    pub const fn name(self) -> &'static str {
        match self {
            Act::Kill => "kill",
            Act::Stop => "stop",
            Act::Start => "start",
            Act::Pause => "pause",
            Act::Wake => "wake",
            Act::Cut => "cut",
            Act::Heal => "heal",
        }
    }

    /// What puts it back.
    pub const fn undone_by(self) -> Option<Act> {
        match self {
            Act::Kill | Act::Stop => Some(Act::Start),
            Act::Pause => Some(Act::Wake),
            Act::Cut => Some(Act::Heal),
            Act::Start | Act::Wake | Act::Heal => None,
        }
    }
}

impl Deployment {
    /// In commands: the server as reports name it, its number, and where it is.
    pub const MARKS: [&'static str; 4] = ["name", "number", "host", "port"];

    pub fn servers(&self) -> impl Iterator<Item = Server> {
        self.redis_servers().chain(self.chat_servers())
    }

    pub fn redis_servers(&self) -> impl Iterator<Item = Server> + use<> {
        (1..=self.redis.nodes.len() as u8).map(Server::Redis)
    }

    pub fn chat_servers(&self) -> impl Iterator<Item = Server> + use<> {
        (1..=self.chat.len() as u8).map(Server::Chat)
    }

    pub fn endpoint(&self, server: Server) -> Option<&Endpoint> {
        let of = if server.is_redis() { &self.redis.nodes } else { &self.chat };
        of.get(usize::from(server.number()).checked_sub(1)?)
    }

    /// Whole.
    pub fn stop_file(&self) -> Option<PathBuf> {
        self.radius.stop_file.as_ref().map(|file| self.folder.join(file))
    }

    /// The words that do this to that server.
    pub fn command(&self, server: Server, act: Act) -> Option<Vec<String>> {
        let words = self.commands.of.get(&self.named(server, act)?)?.get(&act)?;
        let at = self.endpoint(server)?;
        let told = [server.to_string(), server.number().to_string(), at.host.clone(), at.port.to_string()];
        let fill = |word: &String| {
            let marks = Deployment::MARKS.iter().zip(&told);
            marks.fold(word.clone(), |word, (mark, value)| word.replace(&format!("{{{mark}}}"), value))
        };
        Some(words.iter().map(fill).collect())
    }

    /// Under which name its command is written: its own, or that of its kind.
    fn named(&self, server: Server, act: Act) -> Option<String> {
        let kind = if server.is_redis() { "redis" } else { "chat" };
        let names = [server.to_string(), kind.to_owned()];
        names.into_iter().find(|name| self.commands.of.get(name).is_some_and(|acts| acts.contains_key(&act)))
    }

    /// The setting that its command is written at.
    pub(super) fn key(&self, server: Server, act: Act) -> Option<String> {
        self.named(server, act).map(|name| format!("commands.{name}.{act}"))
    }

    /// The same as a line for a shell, to be run where its file lies.
    pub fn line(&self, server: Server, act: Act) -> Option<String> {
        self.command(server, act).map(|words| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
    }
}

pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Act {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl fmt::Display for Radius {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self.servers.iter().map(ToString::to_string).collect();
        write!(out, "{}; {} at once, each for {} at most", servers.join(", "), self.at_once, self.longest)
    }
}
