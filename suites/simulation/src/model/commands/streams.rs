//! Keys and streams: SET, PEXPIRE, XADD, XRANGE and their kin.
//! Source: redis.io/docs/latest/commands, each command's page.

use std::sync::Arc;

use bytes::Bytes;

use super::super::command::{Args, Done, number, wrong_arguments};
use super::super::resp::Reply;
use super::super::state::State;
use super::super::store::{Effect, Value};
use super::super::stream::{Fields, Id, Stream};

pub fn run(state: &mut State, me: usize, name: &str, args: Args) -> Done {
    let now = state.servers[me].now_ms(state.world_ms());
    let server = &mut state.servers[me];
    match (name, args) {
        ("DBSIZE", []) => Ok(Reply::Int(server.store.len() as i64)),
        ("SET", [key, value, options @ ..]) => {
            let expires = expiry(options, now)?;
            if options.iter().any(|option| option.eq_ignore_ascii_case(b"NX")) && server.store.holds(key) {
                return Ok(Reply::Null);
            }
            server.propagate(vec![Effect::Set { key: key.clone(), value: value.clone(), expires }]);
            Ok(Reply::OK)
        }
        ("GET", [key]) => match server.store.get(key).map(|entry| &entry.value) {
            None => Ok(Reply::Null),
            Some(Value::Text(value)) => Ok(Reply::Bulk(value.clone())),
            Some(Value::Stream(_)) => Err(wrong_type()),
        },
        ("DEL", keys) => {
            let there: Vec<_> = keys.iter().filter(|key| server.store.holds(key)).cloned().collect();
            let count = there.len() as i64;
            server.propagate(there.into_iter().map(|key| Effect::Delete { key }).collect());
            Ok(Reply::Int(count))
        }
        ("EXISTS", keys) => Ok(Reply::Int(keys.iter().filter(|key| server.store.holds(key)).count() as i64)),
        ("PEXPIRE" | "EXPIRE", [key, time]) => {
            let unit = if name == "EXPIRE" { 1000 } else { 1 };
            let at = now + number(time)? * unit;
            if !server.store.holds(key) {
                return Ok(Reply::Int(0));
            }
            server.propagate(vec![Effect::Expire { key: key.clone(), at }]);
            Ok(Reply::Int(1))
        }
        ("PTTL", [key]) => Ok(Reply::Int(match server.store.get(key) {
            None => -2,
            Some(entry) => entry.expires.map_or(-1, |at| at.saturating_sub(now) as i64),
        })),
        ("TYPE", [key]) => Ok(Reply::Status(match server.store.get(key).map(|entry| &entry.value) {
            None => "none",
            Some(Value::Text(_)) => "string",
            Some(Value::Stream(_)) => "stream",
        })),
        _ => on_stream(state, me, name, args, now),
    }
}

pub fn wrong_type() -> Reply {
    Reply::error("WRONGTYPE Operation against a key holding the wrong kind of value")
}

fn expiry(options: Args, now: u64) -> Result<Option<u64>, Reply> {
    let at = options.iter().position(|option| option.eq_ignore_ascii_case(b"PX") || option.eq_ignore_ascii_case(b"EX"));
    let Some(at) = at else { return Ok(None) };
    let unit = if options[at].eq_ignore_ascii_case(b"EX") { 1000 } else { 1 };
    let time = options.get(at + 1).ok_or_else(|| Reply::error("ERR syntax error"))?;
    Ok(Some(now + number(time)? * unit))
}

fn on_stream(state: &mut State, me: usize, name: &str, args: Args, now: u64) -> Done {
    let (server, block) = (&mut state.servers[me], state.settings.stream_block);
    let Some((key, args)) = args.split_first() else { return Err(wrong_arguments(name)) };
    if server.store.text(key).is_some() {
        return Err(wrong_type());
    }
    let empty = Stream::default();
    let stream = server.store.stream(key).unwrap_or(&empty);
    match (name, args) {
        ("XLEN", []) => Ok(Reply::Int(stream.len() as i64)),
        ("XRANGE", [low, high, count @ ..]) => range(stream, low, high, count, false),
        ("XREVRANGE", [high, low, count @ ..]) => range(stream, low, high, count, true),
        ("XADD", [id, fields @ ..]) if fields.len() >= 2 && fields.len() % 2 == 0 => {
            let id = new_id(stream, id, now)?;
            let fields: Fields = Arc::from(fields);
            server.propagate(vec![Effect::Add { key: key.clone(), id, fields }]);
            Ok(Reply::text(id.to_string()))
        }
        ("XTRIM", [by, rest @ ..]) if by.eq_ignore_ascii_case(b"MINID") => {
            let (block, rest) = match rest {
                [sign, rest @ ..] if sign.as_ref() == b"~" => (block, rest),
                [sign, rest @ ..] if sign.as_ref() == b"=" => (1, rest),
                rest => (1, rest),
            };
            let below = rest.first().and_then(|id| Id::parse(id, 0)).ok_or_else(bad_id)?;
            let count = stream.trimmable(below, block);
            if count > 0 {
                server.propagate(vec![Effect::DropFirst { key: key.clone(), count }]);
            }
            Ok(Reply::Int(count as i64))
        }
        ("XDEL", [id]) => {
            let id = Id::parse(id, 0).ok_or_else(bad_id)?;
            let there = stream.range(id, id).next().is_some();
            if there {
                server.propagate(vec![Effect::DeleteEntry { key: key.clone(), id }]);
            }
            Ok(Reply::Int(i64::from(there)))
        }
        _ => Err(wrong_arguments(name)),
    }
}

pub fn bad_id() -> Reply {
    Reply::error("ERR Invalid stream ID specified as stream command argument")
}

fn new_id(stream: &Stream, id: &Bytes, now: u64) -> Result<Id, Reply> {
    if id.as_ref() == b"*" {
        return Ok(stream.next_id(now));
    }
    let id = Id::parse(id, 0).ok_or_else(bad_id)?;
    if id <= stream.last() {
        let why = "ERR The ID specified in XADD is equal or smaller than the target stream top item";
        return Err(Reply::error(why));
    }
    Ok(id)
}

/// `(` before an id excludes it.
fn bound(text: &Bytes, implied_seq: u64) -> Result<(Id, bool), Reply> {
    match text.strip_prefix(b"(") {
        Some(id) => Ok((Id::parse(id, implied_seq).ok_or_else(bad_id)?, true)),
        None => Ok((Id::parse(text, implied_seq).ok_or_else(bad_id)?, false)),
    }
}

fn range(stream: &Stream, low: &Bytes, high: &Bytes, count: Args, reverse: bool) -> Done {
    let ((low, low_out), (high, high_out)) = (bound(low, 0)?, bound(high, u64::MAX)?);
    let most = match count {
        [] => usize::MAX,
        [word, most] if word.eq_ignore_ascii_case(b"COUNT") => number(most)? as usize,
        _ => return Err(Reply::error("ERR syntax error")),
    };
    let found = stream.range(low, high).filter(|(id, _)| !(low_out && *id == low || high_out && *id == high));
    let found: Vec<_> = if reverse { found.rev().take(most).collect() } else { found.take(most).collect() };
    Ok(Reply::Array(found.into_iter().map(|(id, fields)| entry(*id, fields)).collect()))
}

pub fn entry(id: Id, fields: &Fields) -> Reply {
    let fields = fields.iter().map(|field| Reply::Bulk(field.clone())).collect();
    Reply::Array(vec![Reply::text(id.to_string()), Reply::Array(fields)])
}
