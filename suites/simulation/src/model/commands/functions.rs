//! FUNCTION and FCALL: the libraries of `system-delivery`, carried out natively.
//!
//! There is no Lua here: each function that the delivery code loads is written again in Rust, and the conformance test
//! runs both on the same commands. A function exists only where its library was loaded or replicated.
//! Source: redis.io/docs/latest/develop/programmability/functions-intro.

use bytes::Bytes;

use super::super::command::{Args, Done, number, text, wrong_arguments};
use super::super::resp::Reply;
use super::super::state::State;
use super::super::store::Effect;
use super::log;

pub fn run(state: &mut State, me: usize, name: &str, args: Args) -> Done {
    match (name, args) {
        ("FUNCTION", [what, args @ ..]) => function(state, me, &text(what).to_ascii_uppercase(), args),
        ("FCALL" | "FCALL_RO", [function, count, rest @ ..]) => call(state, me, text(function), count, rest),
        _ => Err(wrong_arguments(name)),
    }
}

fn call(state: &mut State, me: usize, function: &str, count: &Bytes, rest: Args) -> Done {
    if !state.servers[me].store.has_function(function.as_bytes()) {
        return Err(Reply::error("ERR Function not found"));
    }
    let count = number(count)? as usize;
    if count > rest.len() {
        return Err(Reply::error("ERR Number of keys can't be greater than number of args"));
    }
    let (keys, args) = rest.split_at(count);
    let now = state.servers[me].now_ms(state.world_ms());
    let block = state.settings.stream_block;
    log::call(&mut state.servers[me], now, block, function, keys, args)
}

fn function(state: &mut State, me: usize, what: &str, args: Args) -> Done {
    match (what, args) {
        ("LOAD", [code]) => load(state, me, code, false),
        ("LOAD", [replace, code]) if replace.eq_ignore_ascii_case(b"REPLACE") => load(state, me, code, true),
        ("LIST", _) => Ok(list(state, me, args)),
        _ => Err(Reply::error(format!("ERR unknown subcommand '{what}'. Try FUNCTION HELP."))),
    }
}

/// The name that the shebang of a library gives: `#!lua name=<name>`.
fn library_name(code: &Bytes) -> Option<&str> {
    let first = text(code).lines().next()?;
    first.strip_prefix("#!lua")?.split_whitespace().find_map(|word| word.strip_prefix("name="))
}

fn load(state: &mut State, me: usize, code: &Bytes, replace: bool) -> Done {
    let server = &mut state.servers[me];
    if !server.is_primary() {
        return Err(Reply::error("READONLY You can't write against a read only replica."));
    }
    let library = library_name(code).ok_or_else(|| Reply::error("ERR Missing library metadata"))?.to_owned();
    if server.store.libraries().contains_key(&library) && !replace {
        return Err(Reply::error(format!("ERR Library '{library}' already exists")));
    }
    server.propagate(vec![Effect::Load { library: library.clone(), code: code.clone() }]);
    Ok(Reply::text(library))
}

fn list(state: &State, me: usize, args: Args) -> Reply {
    let asked = args.iter().position(|arg| arg.eq_ignore_ascii_case(b"LIBRARYNAME")).and_then(|at| args.get(at + 1));
    let libraries = state.servers[me].store.libraries().keys();
    let libraries = libraries.filter(|name| asked.is_none_or(|asked| text(asked) == name.as_str()));
    let row = |name: &String| {
        Reply::Map(vec![
            (Reply::text("library_name"), Reply::text(name.clone())),
            (Reply::text("engine"), Reply::text("LUA")),
            (Reply::text("functions"), Reply::Array(Vec::new())),
        ])
    };
    Reply::Array(libraries.map(row).collect())
}
