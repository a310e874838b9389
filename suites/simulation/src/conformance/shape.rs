//! An answer with what differs by nature taken out.

use redis::{ServerError, Value};

/// Words of an answer that the script compares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum As {
    Exact,
    /// Ids of now are masked.
    Clocked,
    /// Types and lengths only.
    Types,
    /// `CLUSTER NODES`: flags, master or not, slots.
    Nodes,
    /// `INFO replication`: the lines that the delivery code reads.
    Replication,
    /// `CLUSTER INFO`: state and size.
    ClusterInfo,
    /// An error's code alone.
    Code,
}

pub fn show(answer: &Result<Value, redis::RedisError>, how: As) -> String {
    match answer {
        Err(error) if how == As::Code => format!("-{}", error.code().unwrap_or("ERR")),
        Err(error) => format!("-{}", masked(&format!("{error}"))),
        Ok(value) => match how {
            As::Exact | As::Code => exact(value),
            As::Clocked => clocked(&exact(value)),
            As::Types => types(value),
            As::Nodes => nodes(&text(value)),
            As::Replication => replication(&text(value)),
            As::ClusterInfo => {
                lines(&text(value), &["cluster_state", "cluster_slots_ok", "cluster_known_nodes", "cluster_size"])
            }
        },
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.clone(),
        other => format!("{other:?}"),
    }
}

fn exact(value: &Value) -> String {
    match value {
        Value::ServerError(error) => server_error(error),
        Value::BulkString(_) | Value::VerbatimString { .. } => format!("{:?}", text(value)),
        Value::Array(items) => format!("[{}]", items.iter().map(exact).collect::<Vec<_>>().join(", ")),
        Value::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| format!("{}: {}", exact(key), exact(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

/// Thirteen digits and a sequence are an id that a clock gave.
fn clocked(text: &str) -> String {
    let id = |word: &str| word.trim_matches(|c: char| !c.is_ascii_digit()).len() >= 15 && word.contains('-');
    text.split(' ').map(|word| if id(word) { "<id>" } else { word }).collect::<Vec<_>>().join(" ")
}

fn server_error(error: &ServerError) -> String {
    format!("-{} {}", error.code(), masked(error.details().unwrap_or("")))
}

/// Addresses out.
fn masked(text: &str) -> String {
    let word = |word: &str| {
        if word.contains("127.0.0.1") || word.starts_with("10.0.0.") { "<address>".to_owned() } else { word.to_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn types(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(types).collect::<Vec<_>>().join(", ")),
        Value::Map(pairs) => {
            // Which modules are built in is the build's affair.
            let kept = pairs.iter().filter(|(key, _)| exact(key) != "\"modules\"");
            let mut pairs: Vec<_> = kept.map(|(key, value)| format!("{}: {}", exact(key), types(value))).collect();
            pairs.sort();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::BulkString(_) => "text".to_owned(),
        Value::Int(_) => "number".to_owned(),
        other => exact(other),
    }
}

fn nodes(text: &str) -> String {
    let row = |line: &str| {
        let fields: Vec<_> = line.split(' ').collect();
        let master = if fields[3] == "-" { "no master" } else { "has a master" };
        let epoch = if fields[6].parse::<u64>().is_ok() { "epoch" } else { "no epoch" };
        format!(
            "{} {master} {epoch} {} {}",
            fields[2],
            fields[7],
            fields[8..].iter().map(named).collect::<Vec<_>>().join(" ")
        )
    };
    let mut rows: Vec<_> = text.lines().filter(|line| !line.is_empty()).map(row).collect();
    rows.sort();
    rows.join("; ")
}

/// Slots as they are; the id behind one that moves is masked.
fn named(slots: &&str) -> String {
    let id = |text: &&str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    slots
        .trim_end_matches(']')
        .rsplit_once('-')
        .filter(|(_, end)| id(end))
        .map_or_else(|| (*slots).to_owned(), |(slot, _)| format!("{slot}-<id>]"))
}

fn replication(text: &str) -> String {
    let names =
        ["role", "connected_slaves", "master_link_status", "master_last_io_seconds_ago", "master_sync_in_progress"];
    // A ping comes once a second, and this one counts whole seconds.
    let mut out = lines(text, &names).replace("_seconds_ago:1", "_seconds_ago:0");
    for line in text.lines().filter(|line| line.starts_with("slave0:")) {
        let keys: Vec<_> = line["slave0:".len()..].split(',').filter_map(|pair| pair.split('=').next()).collect();
        let state = line.split(',').find(|pair| pair.starts_with("state=")).unwrap_or("no state");
        // Later engines append further keys.
        out += &format!(" slave0 {} {state}", keys[..5].join(","));
    }
    let since = text.lines().find_map(|line| line.strip_prefix("master_link_down_since_seconds:"));
    match since.map(|since| since.trim().parse::<i64>()) {
        None => {}
        Some(Ok(-1)) => out += " down since ever",
        Some(Ok(0)) => out += " down since now",
        Some(Ok(1..=20)) => out += " down for seconds",
        Some(other) => out += &format!(" down for {other:?}"),
    }
    let has = |name: &str| text.lines().any(|line| line.split(':').next() == Some(name));
    out += &format!(" offset {} replid {}", has("master_repl_offset"), has("master_replid"));
    out
}

fn lines(text: &str, names: &[&str]) -> String {
    let kept = text.lines().map(str::trim).filter(|line| names.contains(&line.split(':').next().unwrap_or("")));
    kept.collect::<Vec<_>>().join(" ")
}
