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
    cell::Cell,
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
    let (mistakes, _) = source.close();
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
    let redis = redis(top.table("redis"));
    let (chat, history_window) = chat(top.table("chat"));
    let count = |nodes: &Option<Vec<Endpoint>>| nodes.as_ref().map_or(0, Vec::len) as u8;
    let known: Vec<Server> = (1..=redis.as_ref().map_or(0, |redis| redis.nodes.len()) as u8)
        .map(Server::Redis)
        .chain((1..=count(&chat)).map(Server::Chat))
        .collect();
    let mut table = top.table("commands");
    let mut commands = commands(&mut table, &known);
    let has_radius = top.has("blast_radius");
    let radius_table = top.table("blast_radius");
    let radius = if has_radius { radius(radius_table, &known) } else { None };
    if !has_radius {
        let keys = "which servers may be touched (`servers`), how many `at_once`, each for how long (`longest`)";
        top.wrong(format!("`blast_radius` is missing: {keys}"));
    }
    top.done();
    commands.of.retain(|_, acts| !acts.is_empty());
    let deployment = Deployment {
        name: name?,
        title: title?,
        folder,
        redis: redis?,
        chat: chat?,
        history_window,
        commands,
        radius: radius?,
    };
    for (server, act, back) in one_way(&deployment) {
        table.wrong_below(&format!("commands.{server}"), &format!("has `{act}` and no `{back}`, which puts it back"));
    }
    table.done();
    Some(deployment)
}

/// Commands whose opposite is missing: once for all of a kind.
fn one_way(deployment: &Deployment) -> Vec<(String, Act, Act)> {
    let has = |server: Server, act| deployment.command(server, act).is_some();
    let mut found = BTreeSet::new();
    for server in deployment.servers() {
        for act in Act::ALL {
            let Some(back) = act.undone_by().filter(|back| has(server, act) && !has(server, *back)) else { continue };
            let own = deployment.commands.of.contains_key(&server.to_string());
            let kind = if server.is_redis() { "redis" } else { "chat" };
            found.insert((if own { server.to_string() } else { kind.to_owned() }, act, back));
        }
    }
    found.into_iter().collect()
}

fn redis(mut table: Table<'_>) -> Option<Access> {
    let nodes = nodes(&mut table, "redis://", 6379);
    let user = table.text("user");
    let password_file = table.text("password_file").map(PathBuf::from);
    if user.is_some() && !table.has("password_file") {
        table.wrong("`redis.user` needs a `password_file`".to_owned());
    }
    table.done();
    Some(Access { nodes: nodes?, user, password_file })
}

fn chat(mut table: Table<'_>) -> (Option<Vec<Endpoint>>, Length) {
    let nodes = nodes(&mut table, "http://", 80);
    let window = table.length("history_window").unwrap_or(Length::secs(600));
    table.done();
    (nodes, window)
}

fn nodes(table: &mut Table<'_>, scheme: &str, usual: u16) -> Option<Vec<Endpoint>> {
    let refused = Cell::new(0);
    let read = |text: &str| endpoint(text, scheme, usual).inspect_err(|_| refused.set(refused.get() + 1));
    let nodes = table.list("nodes", read);
    let nodes = table.required("nodes", nodes)?;
    let mut seen = BTreeSet::new();
    for twice in nodes.iter().filter(|node| !seen.insert(*node)) {
        table.wrong_at("nodes", Wrong::new(format!("{twice} is there twice")));
    }
    let given = nodes.len() + refused.get();
    if given == 0 || given > MOST {
        table.wrong_at("nodes", Wrong::new(format!("{given} nodes; 1 to {MOST} are expected")));
    }
    Some(nodes)
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

fn commands(table: &mut Table<'_>, known: &[Server]) -> Commands {
    let within = table.length("within").unwrap_or(Length::secs(20));
    let up_within = table.length("up_within").unwrap_or(Length::secs(30));
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    let names: Vec<&str> = ["redis", "chat"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let of = table.named(&names).into_iter().map(|(name, table)| (name, acts(table)));
    Commands { within, up_within, of: of.collect() }
}

fn acts(mut table: Table<'_>) -> BTreeMap<Act, Vec<String>> {
    let mut acts = BTreeMap::new();
    for act in Act::ALL {
        let words = table.list(act.name(), |text| known_marks(text, &Deployment::MARKS));
        match words {
            Some(words) if words.is_empty() && table.has(act.name()) => {
                table.wrong_at(act.name(), Wrong::new("names no program".to_owned()));
            }
            Some(words) => drop(acts.insert(act, words)),
            None => {}
        }
    }
    table.done();
    acts
}

fn radius(mut table: Table<'_>, known: &[Server]) -> Option<Radius> {
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    let servers = table.list("servers", |text| match text {
        "redis" => Ok(known.iter().copied().filter(|server| server.is_redis()).collect()),
        "chat" => Ok(known.iter().copied().filter(|server| !server.is_redis()).collect::<Vec<_>>()),
        text => {
            let named = known.iter().copied().find(|server| server.to_string() == text);
            let all = ["redis", "chat"].into_iter().chain(names.iter().map(String::as_str));
            named.map(|server| vec![server]).ok_or_else(|| Wrong::name(text, all))
        }
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
