//! A deployment file → a [`Deployment`], or every mistake in it at once.
//!
//! ```toml
//! format = 1
//! name   = "staging"                          # to be given again: --yes-this-is staging
//! title  = "one sentence: what it is"
//! [redis]                                     # every node of the cluster
//! nodes = ["redis://10.0.0.1:6379"]
//! password_file = "redis.password"            # with `user`, if it is not the default one
//! [chat]
//! nodes = ["http://10.0.0.11:3000"]           # each node by itself, not a balancer
//! history_window = "10m"
//! [commands]                                  # run in this file's folder; {marks} are filled in
//! redis   = { kill = ["ssh", "{host}", "systemctl kill -s KILL redis"], start = ["ssh", "{host}", "systemctl start redis"] }
//! redis-3 = { start = ["./start-the-odd-one"] }
//! [blast_radius]
//! servers = ["redis", "chat-2"]
//! at_once = 1
//! longest = "30s"
//! ```
//! docs/game-day.md tells each key.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use chaos_cluster::{Access, Act, Commands, Deployment, Endpoint, Radius, Server};
use chaos_observe::Length;

use crate::{
    mistake::Mistakes,
    read::{Source, Table, Wrong},
    system::known_marks,
};

const FORMAT: u64 = 1;
/// Redis nodes and chat nodes are numbered by a byte.
const MOST: usize = 200;
const KINDS: [&str; 2] = ["redis", "chat"];
/// What no other file has.
const OWN: [&str; 2] = ["blast_radius", "commands"];

/// Reads a file.
pub fn load_deployment(file: &str) -> Result<Deployment, Mistakes> {
    let unreadable = |error: std::io::Error| Mistakes::whole(file, format!("cannot read the deployment file: {error}"));
    let text = fs::read_to_string(file).map_err(unreadable)?;
    // Its commands run in that folder, wherever we are.
    let path = std::path::absolute(file).map_err(unreadable)?;
    from_text(file, path.parent().map(Path::to_owned).unwrap_or_default(), &text)
}

/// Whether a file's text means to be a deployment, by its keys, so that one with mistakes counts too.
pub fn is_deployment(text: &str) -> bool {
    let (_, top) = Source::open(text);
    OWN.iter().any(|key| top.has(key))
}

pub(super) fn from_text(file: &str, folder: PathBuf, text: &str) -> Result<Deployment, Mistakes> {
    let (source, top) = Source::open(text);
    let deployment = deployment(folder, top);
    let (mistakes, ..) = source.close();
    match deployment {
        Some(deployment) if mistakes.is_empty() => Ok(deployment),
        _ => Err(Mistakes::new(file, mistakes)),
    }
}

fn deployment(folder: PathBuf, mut top: Table<'_>) -> Option<Deployment> {
    let format = top.whole("format", 0..=u64::from(u32::MAX));
    if let Some(format) = top.required("format", format).filter(|format| *format != FORMAT) {
        top.wrong(format!("`format` is {format}; this version reads format {FORMAT}"));
    }
    let name = top.value("name", |value| {
        let plain =
            |text: &&str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        let text = value.as_str().filter(plain).map(str::to_owned);
        text.ok_or_else(|| Wrong::new("expected a word of letters, digits and `-_.`".to_owned()))
    });
    let name = top.required("name", name);
    let title = top.text("title");
    let title = top.required("title", title);
    let (redis, redis_count) = redis(top.table("redis"));
    let (chat, chat_count, history_window) = chat(top.table("chat"));
    let known = Known { redis: redis_count, chat: chat_count };
    let mut table = top.table("commands");
    let commands = commands(&mut table, &known);
    for (name, act, back) in one_way(&commands, &known) {
        table.wrong_below(&format!("commands.{name}"), &format!("has `{act}` and no `{back}`, which puts it back"));
    }
    table.done();
    let has_radius = top.has("blast_radius");
    let radius_table = top.table("blast_radius");
    let radius = if has_radius { radius(radius_table, &known) } else { None };
    if !has_radius {
        let keys = "which servers may be touched (`servers`), how many `at_once`, each for how long (`longest`)";
        top.wrong(format!("`blast_radius` is missing: {keys}"));
    }
    top.done();
    Some(Deployment {
        name: name?,
        title: title?,
        folder,
        redis: redis?,
        chat: chat?,
        history_window,
        commands,
        radius: radius?,
    })
}

/// How many nodes of each kind there are; `None`: their list cannot be read, so any may be one of them.
struct Known {
    redis: Option<u8>,
    chat: Option<u8>,
}

impl Known {
    /// The server of that name, if it may be there.
    fn server(&self, name: &str) -> Option<Server> {
        let server: Server = name.parse().ok().filter(|server: &Server| server.to_string() == name)?;
        let count = if server.is_redis() { self.redis } else { self.chat };
        count.is_none_or(|count| server.number() <= count).then_some(server)
    }

    /// Those that are listed.
    fn servers(&self) -> impl Iterator<Item = Server> + use<> {
        let redis = (1..=self.redis.unwrap_or(0)).map(Server::Redis);
        redis.chain((1..=self.chat.unwrap_or(0)).map(Server::Chat))
    }

    fn names(&self) -> Vec<String> {
        KINDS.into_iter().map(str::to_owned).chain(self.servers().map(|server| server.to_string())).collect()
    }
}

fn kind(server: Server) -> &'static str {
    KINDS[usize::from(!server.is_redis())]
}

/// Commands whose opposite is missing: once for all of a kind.
fn one_way(commands: &Commands, known: &Known) -> BTreeSet<(String, Act, Act)> {
    let of = &commands.of;
    let own = |server: &Server| of.contains_key(&server.to_string());
    let named: Vec<Server> = of.keys().filter_map(|name| known.server(name)).collect();
    // Of a list that cannot be read: those that have commands of their own, or else any.
    let unlisted = [(known.redis, Server::Redis(1)), (known.chat, Server::Chat(1))].into_iter();
    let unlisted = unlisted.filter(|(count, _)| count.is_none()).flat_map(|(_, any)| {
        let mut some: Vec<_> = named.iter().copied().filter(|server| kind(*server) == kind(any)).collect();
        if some.is_empty() {
            some.push(any);
        }
        some
    });
    let has = |server: Server, act: Act| {
        [server.to_string().as_str(), kind(server)]
            .iter()
            .any(|name| of.get(*name).is_some_and(|acts| acts.contains_key(&act)))
    };
    let mut found = BTreeSet::new();
    for server in known.servers().chain(unlisted) {
        for act in Act::ALL {
            let Some(back) = act.undone_by().filter(|back| has(server, act) && !has(server, *back)) else { continue };
            let name = if own(&server) { server.to_string() } else { kind(server).to_owned() };
            found.insert((name, act, back));
        }
    }
    found
}

fn redis(mut table: Table<'_>) -> (Option<Access>, Option<u8>) {
    let (nodes, count) = nodes(&mut table, "redis://", 6379);
    let user = table.text("user");
    let password_file = table.text("password_file").map(PathBuf::from);
    if user.is_some() && !table.has("password_file") {
        table.wrong("`redis.user` needs a `password_file`".to_owned());
    }
    table.done();
    (nodes.map(|nodes| Access { nodes, user, password_file }), count)
}

fn chat(mut table: Table<'_>) -> (Option<Vec<Endpoint>>, Option<u8>, Length) {
    let (nodes, count) = nodes(&mut table, "http://", 80);
    let window = table.length("history_window").unwrap_or(Length::secs(600));
    table.done();
    (nodes, count, window)
}

/// Those that can be read, and how many are listed, if that makes sense.
fn nodes(table: &mut Table<'_>, scheme: &str, usual: u16) -> (Option<Vec<Endpoint>>, Option<u8>) {
    let nodes = table.list("nodes", |text| endpoint(text, scheme, usual));
    let Some(nodes) = table.required("nodes", nodes) else { return (None, None) };
    let mut seen = BTreeSet::new();
    for twice in nodes.iter().filter(|node| !seen.insert(*node)) {
        table.wrong_at("nodes", Wrong::new(format!("{twice} is there twice")));
    }
    let given = table.listed("nodes").unwrap_or(0);
    if given == 0 || given > MOST {
        table.wrong_at("nodes", Wrong::new(format!("{given} nodes; 1 to {MOST} are expected")));
        return (None, None);
    }
    (Some(nodes), Some(given as u8))
}

fn endpoint(text: &str, scheme: &str, usual: u16) -> Result<Endpoint, Wrong> {
    let wrong = |why: &str| Err(Wrong::new(format!("{text:?} {why}")));
    let Some(rest) = text.strip_prefix(scheme) else {
        let tls = ["rediss://", "https://"].iter().any(|tls| text.starts_with(tls));
        return wrong(&if tls {
            format!("is TLS, which a drill does not speak; give its plain address ({scheme}host:port)")
        } else {
            format!("is not {scheme}host:port")
        });
    };
    if rest.contains('@') {
        return Err(Wrong::new("credentials do not belong into this file: name a `password_file`".to_owned()));
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (rest, Some(usual)),
    };
    let clean = !host.is_empty() && !host.contains(['/', '?', '#', ':', ' ']);
    match port.filter(|port| clean && *port > 0) {
        Some(port) => Ok(Endpoint { host: host.to_owned(), port }),
        None => wrong(&format!("is not {scheme}host:port")),
    }
}

fn commands(table: &mut Table<'_>, known: &Known) -> Commands {
    let within = table.length("within").unwrap_or(Length::secs(20));
    let up_within = table.length("up_within").unwrap_or(Length::secs(30));
    let of = table
        .named(|name| KINDS.contains(&name) || known.server(name).is_some(), &known.names())
        .into_iter()
        .map(|(name, table)| (name, acts(table)));
    Commands { within, up_within, of: of.filter(|(_, acts)| !acts.is_empty()).collect() }
}

fn acts(mut table: Table<'_>) -> BTreeMap<Act, Vec<String>> {
    let mut acts = BTreeMap::new();
    for act in Act::ALL {
        let words = table.list(act.name(), |text| known_marks(text, &Deployment::MARKS));
        if table.listed(act.name()) == Some(0) {
            table.wrong_at(act.name(), Wrong::new("names no program".to_owned()));
        }
        if table.has(act.name()) {
            // One that cannot be read is there all the same.
            acts.insert(act, words.unwrap_or_default());
        }
    }
    table.done();
    acts
}

fn radius(mut table: Table<'_>, known: &Known) -> Option<Radius> {
    let names = known.names();
    let servers = table.list("servers", |text| {
        if KINDS.contains(&text) {
            return Ok(known.servers().filter(|server| kind(*server) == text).collect::<Vec<_>>());
        }
        known.server(text).map(|server| vec![server]).ok_or_else(|| Wrong::name(text, names.iter().map(String::as_str)))
    });
    let servers = table.required("servers", servers);
    let at_once = table.whole("at_once", 1..=MOST as u64);
    let at_once = table.required("at_once", at_once);
    let longest = table.length("longest");
    let longest = table.required("longest", longest);
    let stop_file = table.text("stop_file").map(PathBuf::from);
    table.done();
    let servers = servers?.into_iter().flatten().collect();
    Some(Radius { servers, at_once: at_once? as u8, longest: longest?, stop_file })
}
