//! A system file → a [`System`], or every mistake in it at once.
//!
//! ```toml
//! format   = 1
//! title    = "one sentence: what it is"
//! contract = "at_most_once"                   # what it claims; or "acked_is_durable"
//! [start]
//! command   = ["node", "server.js"]           # in this file's folder; and/or image = "registry/name:tag"
//! arguments = ["--listen", "{listen}"]
//! env       = { REDIS_URLS = "{redis}" }
//! [ready]
//! http = "/health"                            # answers 200; without this table: the port accepts connections
//! [connect]
//! path = "/socket.io/"
//! namespace = "/"
//! auth = { name = "{user}" }
//! [join]
//! event     = "join"
//! arguments = ["{room}"]
//! [send]
//! event     = "say"
//! arguments = ["{room}", { text = "{text}", id = "{id}" }]
//! error     = "/0/error"                      # where in the ack it says no
//! [received]
//! event = "said"
//! text  = "/0/text"                           # RFC 6901, from the list of arguments
//! ```
//! docs/your-own-server.md tells each key.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use chaos_cluster::{Program, Ready};
use chaos_workload::{Ask, Connect, Dialect, Join, Received, Say};
use serde_json::Value;

use super::{Start, System};
use crate::{
    drill::CONTRACTS,
    mistake::{Mistake, Mistakes, nearest},
    read::{Source, Table, Wrong},
};

const FORMAT: u64 = 1;
const PATH: &str = "/socket.io/";
const SPEAKS: &[(&str, Speaks)] = &[("contract", Speaks::Contract), ("events", Speaks::Events)];
const TABLES_OF_EVENTS: [&str; 5] = ["connect", "join", "leave", "send", "received"];
/// What else a drill file has not, and what only that has.
const ONLY_OF_SYSTEMS: [&str; 4] = ["contract", "speaks", "start", "ready"];
const ONLY_OF_DRILLS: [&str; 9] =
    ["why", "seed", "longest", "steady", "settle", "cluster", "workload", "step", "expect"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Contract,
    Events,
}

impl System {
    /// Reads a file.
    pub fn load(file: &str) -> Result<System, Mistakes> {
        let path = Path::new(file);
        let text = fs::read_to_string(path).map_err(|error| no_such_system(file, &error))?;
        if more_of_a_system(&text) == Ordering::Less {
            return Err(Mistakes::whole(file, "this is a drill file, not a system".to_owned()));
        }
        let name = path.file_stem().map_or_else(|| file.into(), |stem| stem.to_string_lossy().into_owned());
        // Its command runs in that folder, wherever we are.
        let path = std::path::absolute(path).map_err(|error| unreadable(file, &error))?;
        System::from_text(file, &name, path.parent().map(Path::to_owned).unwrap_or_default(), &text)
    }

    /// Whether a file's text means to be a system, not a drill: by its keys, so that one with mistakes counts too.
    pub fn is_meant(text: &str) -> bool {
        more_of_a_system(text) == Ordering::Greater
    }

    /// Reads `text`; `file` is how mistakes name it.
    pub fn from_text(file: &str, name: &str, folder: PathBuf, text: &str) -> Result<System, Mistakes> {
        let (source, top) = Source::open(text);
        let system = system(name, folder, top);
        let (mistakes, ..) = source.close();
        match system {
            Some(system) if mistakes.is_empty() => Ok(system),
            _ => Err(Mistakes::new(file, mistakes)),
        }
    }
}

/// Whether its top table has more keys that only systems have than such that only drills have.
fn more_of_a_system(text: &str) -> Ordering {
    let (_, top) = Source::open(text);
    let count = |keys: &[&str]| keys.iter().filter(|key| top.has(key)).count();
    (count(&TABLES_OF_EVENTS) + count(&ONLY_OF_SYSTEMS)).cmp(&count(&ONLY_OF_DRILLS))
}

fn no_such_system(name: &str, error: &std::io::Error) -> Mistakes {
    let is_a_path = name.contains('/') || Path::new(name).extension().is_some();
    if is_a_path || error.kind() != ErrorKind::NotFound {
        return unreadable(name, error);
    }
    let message = format!("no file has this name, and it is not `{}`, the reference system", System::REFERENCE);
    let nearest = nearest(name, [System::REFERENCE]);
    Mistakes::new(name, vec![Mistake { place: None, message, nearest }])
}

fn unreadable(file: &str, error: &std::io::Error) -> Mistakes {
    Mistakes::whole(file, format!("cannot read the system file: {error}"))
}

fn system(name: &str, folder: PathBuf, mut top: Table<'_>) -> Option<System> {
    let format = top.whole("format", 0..=u64::from(u32::MAX));
    if let Some(format) = top.required("format", format).filter(|format| *format != FORMAT) {
        top.wrong(format!("`format` is {format}; this version reads format {FORMAT}"));
    }
    let title = top.text("title");
    let title = top.required("title", title);
    let contract = top.choice("contract", CONTRACTS);
    let contract = top.required("contract", contract);
    let speaks = speaks(&mut top);
    let start = start(top.table("start"));
    let listens = |start: &Start| start.tells("listen") || start.tells("port");
    // One that cannot be read may hold it.
    if top.can_be_read("start") && !start.as_ref().is_none_or(listens) {
        top.wrong_below(
            "start",
            "no {listen} and no {port} is in `command`, `arguments` or `env`, and each node has another",
        );
    }
    let ready = ready(top.table("ready"));
    let dialect = match speaks {
        Speaks::Events => Some(dialect(&mut top)),
        Speaks::Contract => {
            let given: Vec<_> = TABLES_OF_EVENTS.into_iter().filter(|table| top.has(table)).collect();
            for table in given {
                top.wrong(format!("`{table}`: a system that speaks the contract has no events of its own"));
                // Its keys are not judged too.
                drop(top.table(table));
            }
            None
        }
    };
    top.done();
    let (start, ready) = (start?, ready?);
    Some(System { name: name.to_owned(), title: title?, contract: contract?, folder, start, ready, dialect })
}

/// Where it says something else, its tables show what is meant.
fn speaks(top: &mut Table<'_>) -> Speaks {
    let given = top.has("speaks");
    let shown =
        if given && !TABLES_OF_EVENTS.iter().any(|table| top.has(table)) { Speaks::Contract } else { Speaks::Events };
    top.choice("speaks", SPEAKS).unwrap_or(shown)
}

fn start(mut table: Table<'_>) -> Option<Start> {
    let command = table.list("command", |text| known_marks(text, &start_marks()));
    let image = table.text("image").filter(|name| match not_an_image(name) {
        None => true,
        Some(why) => {
            table.wrong_at("image", Wrong::new(format!("{name:?} is no image's name: {why}")));
            false
        }
    });
    if !table.has("command") && !table.has("image") {
        table.wrong("`start` needs a `command` or an `image`".to_owned());
    }
    if table.listed("command") == Some(0) {
        table.wrong("`start.command`: names no program".to_owned());
    }
    let arguments = table.list("arguments", |text| known_marks(text, &start_marks()));
    let env = env(table.table("env"));
    let inherit = table.flag("inherit").unwrap_or(true);
    table.done();
    let (command, arguments) = (command.unwrap_or_default(), arguments.unwrap_or_default());
    (!command.is_empty() || image.is_some()).then_some(Start { command, image, arguments, env, inherit })
}

/// `[registry[:port]/]name[:tag][@digest]`, as an engine reads it.
fn not_an_image(text: &str) -> Option<&'static str> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Some("expected one word, registry/name:tag");
    }
    let (named, digest) = text.split_once('@').unwrap_or((text, "sha256:0"));
    // A colon before the last slash is a port's.
    let name = named.rfind('/').map_or(0, |slash| slash + 1);
    let (path, tag) = match named[name..].find(':') {
        Some(colon) => (&named[..name + colon], &named[name + colon + 1..]),
        None => (named, "latest"),
    };
    let is_registry = |part: &str| part == "localhost" || part.contains(|c: char| ".:".contains(c) || c.is_uppercase());
    let repository = match path.split_once('/') {
        Some((first, rest)) if !first.is_empty() && is_registry(first) => rest,
        _ => path,
    };
    if repository.contains(char::is_uppercase) {
        return Some("what stands before its tag must be lower case");
    }
    let is_part = |part: &str| {
        let ends = part.starts_with(alphanumeric) && part.ends_with(alphanumeric);
        ends && part.chars().all(|c| alphanumeric(c) || "._-".contains(c))
    };
    let is_tag = !tag.starts_with(['.', '-']) && tag.chars().all(|c| alphanumeric(c) || "._-".contains(c));
    let is_digest = digest.split_once(':').is_some_and(|(kind, sum)| !kind.is_empty() && !sum.is_empty());
    let sound = repository.split('/').all(is_part) && !tag.is_empty() && is_tag && is_digest;
    (!sound).then_some("expected registry/name:tag, or registry/name@digest")
}

fn alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn env(table: Table<'_>) -> BTreeMap<String, String> {
    table.texts(|text| known_marks(text, &start_marks()))
}

fn start_marks() -> Vec<&'static str> {
    Program::MARKS.into_iter().chain(Start::MARKS).collect()
}

fn ready(mut table: Table<'_>) -> Option<Ready> {
    let http = table.value("http", |value| {
        let path = value.as_str().filter(|path| path.starts_with('/'));
        path.map(str::to_owned).ok_or_else(|| Wrong::new("expected a path that begins with `/`".to_owned()))
    });
    let wrong = table.has("http") && http.is_none();
    table.done();
    (!wrong).then(|| http.map_or(Ready::Listening, Ready::Http))
}

/// What cannot be read is told where it is read, and counts as right from there on: all else is judged all the same, and
/// one mistake is not told as two.
fn dialect(top: &mut Table<'_>) -> Dialect {
    let connect = connect(top.table("connect"));
    let join = optional(top, "join", join);
    let leave = optional(top, "leave", leave);
    let send = send(top.table("send"));
    let received = received(top.table("received"));
    let dialect = Dialect { connect, join, leave, send, received };
    for (path, why) in dialect.mistakes() {
        top.wrong_below(path, &why);
    }
    dialect
}

fn optional<T>(top: &mut Table<'_>, key: &'static str, read: impl FnOnce(Table<'_>) -> T) -> Option<T> {
    // First: it may stand there misspelt.
    let table = top.table(key);
    top.has(key).then(|| read(table))
}

fn connect(mut table: Table<'_>) -> Connect {
    let path = path_or(&mut table, "path", PATH);
    let namespace = path_or(&mut table, "namespace", "/");
    let auth = table.described::<Value>("auth").map(|auth| {
        let meant = meant(&table, "auth", std::slice::from_ref(&auth), &Dialect::MARKS);
        if meant.is_empty() { auth } else { [auth].into_iter().chain(meant).collect() }
    });
    table.done();
    Connect { path, namespace, auth }
}

fn path_or(table: &mut Table<'_>, key: &'static str, usual: &str) -> String {
    let given = table.value(key, |value| {
        let path = value.as_str().filter(|path| path.starts_with('/') && !path.contains([',', '?', ' ']));
        path.map(str::to_owned).ok_or_else(|| Wrong::new("expected a path that begins with `/`".to_owned()))
    });
    given.unwrap_or_else(|| usual.to_owned())
}

fn ask(table: &mut Table<'_>, marks: &[&'static str]) -> Ask {
    let event = event(table);
    let mut arguments = table.described::<Vec<Value>>("arguments");
    if let Some(arguments) = &mut arguments {
        arguments.extend(meant(table, "arguments", arguments, marks));
    }
    let arguments = table.required("arguments", arguments).unwrap_or_else(|| every(marks));
    let (ok, error) = (table.text("ok"), table.text("error"));
    Ask { event, arguments, ok, error }
}

fn event(table: &mut Table<'_>) -> String {
    let event = table.text("event");
    if event.as_deref() == Some("") {
        table.wrong_at("event", Wrong::new("names no event".to_owned()));
    }
    table.required("event", event).unwrap_or_default()
}

/// Templates that lack nothing.
fn every(marks: &[&str]) -> Vec<Value> {
    marks.iter().map(|mark| Value::String(format!("{{{mark}}}"))).collect()
}

fn join(mut table: Table<'_>) -> Join {
    let ask = ask(&mut table, &Dialect::MARKS);
    let joined = table.text("joined");
    table.done();
    Join { ask, joined }
}

fn leave(mut table: Table<'_>) -> Ask {
    let ask = ask(&mut table, &Dialect::MARKS);
    table.done();
    ask
}

fn send(mut table: Table<'_>) -> Say {
    let ask = ask(&mut table, &Say::MARKS);
    let retry = table.flag("retry").unwrap_or(false);
    table.done();
    Say { ask, retry }
}

fn received(mut table: Table<'_>) -> Received {
    let event = event(&mut table);
    let text = table.text("text");
    let text = table.required("text", text).unwrap_or_else(|| "/0".to_owned());
    let [id, room, sender] = ["id", "room", "sender"].map(|key| table.text(key));
    table.done();
    Received { event, text, id, room, sender }
}

/// The text itself, when every `{mark}` in it is known and closed.
pub(crate) fn known_marks(text: &str, known: &[&'static str]) -> Result<String, Wrong> {
    wrong_mark(text, known).map_or_else(|| Ok(text.to_owned()), Err)
}

fn unknown(mark: &str, known: &[&'static str]) -> Wrong {
    let list = known.iter().map(|known| format!("{{{known}}}")).collect::<Vec<_>>().join(" ");
    let near = nearest(mark, known.iter().copied()).map(|near| format!("{{{near}}}"));
    Wrong { nearest: near, ..Wrong::new(format!("unknown mark {{{mark}}} (known: {list})")) }
}

/// Notes every mark that is unknown or not closed; what was probably meant by them counts as there, so that it is not missed too.
fn meant(table: &Table<'_>, key: &str, templates: &[Value], marks: &[&'static str]) -> Vec<Value> {
    let mut meant = Vec::new();
    for wrong in templates.iter().flat_map(texts).filter_map(|text| wrong_mark(text, marks)) {
        meant.extend(wrong.nearest.clone().map(Value::String));
        table.wrong_at(key, wrong);
    }
    meant
}

fn texts(template: &Value) -> Vec<&str> {
    match template {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// `{word}` is a mark; braces with anything else between them are text. So is one that is never closed, unless a known
/// mark or a single word follows it.
fn wrong_mark(text: &str, known: &[&'static str]) -> Option<Wrong> {
    let in_mark = |c: char| c.is_ascii_lowercase() || c == '_';
    text.split('{').skip(1).find_map(|rest| {
        let word = &rest[..rest.find(|c| !in_mark(c)).unwrap_or(rest.len())];
        match rest.split_once('}') {
            _ if word.is_empty() => None,
            Some((mark, _)) => (mark == word && !known.contains(&mark)).then(|| unknown(mark, known)),
            None => (rest == word || known.contains(&word)).then(|| unclosed(word, known)),
        }
    })
}

fn unclosed(mark: &str, known: &[&'static str]) -> Wrong {
    let near = nearest(mark, known.iter().copied()).map(|near| format!("{{{near}}}"));
    Wrong { nearest: near, ..Wrong::new(format!("unclosed mark {{{mark}")) }
}
