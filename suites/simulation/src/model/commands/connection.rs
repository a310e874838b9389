//! What a client says to introduce itself.

use super::super::command::{Args, Done, Session, text, wrong_arguments};
use super::super::resp::Reply;
use super::super::server::WaitRule;
use super::super::state::State;

pub fn run(state: &mut State, me: usize, session: &mut Session, name: &str, args: Args) -> Done {
    match (name, args) {
        ("PING", []) => Ok(Reply::Status("PONG")),
        ("PING" | "ECHO", [message]) => Ok(Reply::Bulk(message.clone())),
        ("HELLO", _) => hello(state, me, session, args),
        ("CLIENT", [what, ..]) => {
            let old = state.settings.wait_rule == WaitRule::EveryCommand;
            client(session, &text(what).to_ascii_uppercase(), old)
        }
        ("READONLY" | "READWRITE", []) => {
            session.read_only = name == "READONLY";
            Ok(Reply::OK)
        }
        ("SELECT" | "AUTH", [_, ..]) => Ok(Reply::OK),
        ("COMMAND", _) => Ok(Reply::Array(Vec::new())),
        _ => Err(wrong_arguments(name)),
    }
}

/// Source: redis.io/docs/latest/commands/hello.
fn hello(state: &mut State, me: usize, session: &mut Session, args: Args) -> Done {
    session.resp3 = match args.first().map(text) {
        None => session.resp3,
        Some("2") => false,
        Some("3") => true,
        Some(_) => return Err(Reply::error("NOPROTO unsupported protocol version")),
    };
    let server = &mut state.servers[me];
    if let Some(client) = server.clients.get_mut(&session.id) {
        client.resp3 = session.resp3;
    }
    let role = if server.is_primary() { "master" } else { "replica" };
    let pair = |key: &str, value: Reply| (Reply::text(key), value);
    Ok(Reply::Map(vec![
        pair("server", Reply::text("redis")),
        pair("version", Reply::text(state.settings.version.clone())),
        pair("proto", Reply::Int(if session.resp3 { 3 } else { 2 })),
        pair("id", Reply::Int(session.id as i64)),
        pair("mode", Reply::text("cluster")),
        pair("role", Reply::text(role)),
        pair("modules", Reply::Array(Vec::new())),
    ]))
}

fn client(session: &Session, what: &str, old: bool) -> Done {
    match what {
        // Came with 7.2.
        "SETINFO" if old => Err(unknown(what)),
        "SETINFO" | "SETNAME" | "NO-EVICT" | "NO-TOUCH" => Ok(Reply::OK),
        "ID" => Ok(Reply::Int(session.id as i64)),
        _ => Err(unknown(what)),
    }
}

fn unknown(what: &str) -> Reply {
    Reply::error(format!("ERR unknown subcommand '{what}'. Try CLIENT HELP."))
}
