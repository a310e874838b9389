//! One command: which slot it touches, whether this server may serve it, and what it does.
//!
//! In the flow: [`super::session`] takes commands off a connection and calls [`State::execute`]; what a command does
//! is in the files of `commands/`, a table by name below. Redirections follow
//! redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec ("MOVED Redirection", "ASK redirection",
//! "Multi-key operations") and Redis cluster.c, getNodeByQuery.

use std::borrow::Cow;

use bytes::Bytes;
use tokio::time::Duration;

use super::commands::{cluster, connection, functions, info, planted, pubsub, streams};
use super::resp::Reply;
use super::server::WaitRule;
use super::slot::slot_of;
use super::state::{Replacement, State};
use crate::network::Host;

/// What a connection remembers between commands.
pub struct Session {
    pub id: u64,
    pub peer: Host,
    pub resp3: bool,
    /// Where WAIT counts from.
    pub write_offset: u64,
    asking: bool,
    pub read_only: bool,
    /// When the first command came, and who had taken the server's place by then.
    first: Option<(u64, Option<Replacement>)>,
}

impl Session {
    pub fn new(id: u64, peer: Host) -> Session {
        Session { id, peer, resp3: false, write_offset: 0, asking: false, read_only: false, first: None }
    }

    /// For the storyboard: who, and which of its connections.
    pub fn name(&self) -> String {
        format!("{}#{}", self.peer, self.id)
    }
}

#[derive(Debug)]
pub enum Outcome {
    Reply(Reply),
    /// Answered out of band already (subscriptions).
    Silent,
    Wait {
        replicas: usize,
        patience: Duration,
    },
    Close,
}

/// What a command does with its keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    Channel,
}

pub type Args<'a> = &'a [Bytes];

/// A command's failure is its reply.
pub type Done = Result<Reply, Reply>;

pub fn wrong_arguments(name: &str) -> Reply {
    Reply::error(format!("ERR wrong number of arguments for '{}' command", name.to_lowercase()))
}

pub fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap_or("")
}

/// As tables of commands name it. Clients write it so already, mostly.
pub fn upper(word: &str) -> Cow<'_, str> {
    if word.bytes().any(|byte| byte.is_ascii_lowercase()) { word.to_ascii_uppercase().into() } else { word.into() }
}

pub fn number(bytes: &Bytes) -> Result<u64, Reply> {
    text(bytes).parse().map_err(|_| Reply::error("ERR value is not an integer or out of range"))
}

impl State {
    pub fn execute(&mut self, me: usize, session: &mut Session, command: Args) -> Outcome {
        self.trace.event(me as u64, command.iter().map(Bytes::as_ref));
        self.trace.say(|| {
            let words: Vec<_> = command.iter().map(|arg| text(arg).chars().take(24).collect::<String>()).collect();
            format!("redis-{} takes from {}: {}", me + 1, session.name(), words.join(" "))
        });
        let asking = std::mem::take(&mut session.asking);
        let (made, replaced) = *session.first.get_or_insert_with(|| (self.trace.now_ms(), self.replacement_of(me)));
        let before = self.servers[me].offset;
        let outcome = self.dispatch(me, session, command, asking);
        let after = self.servers[me].offset;
        if let Some(by) = replaced.filter(|_| after != before) {
            self.stray_write(me, session, made, by);
        }
        if after != before || self.settings.wait_rule == WaitRule::EveryCommand {
            session.write_offset = after;
        }
        outcome
    }

    /// A write that this server should not have got: whoever made the connection could know that another serves the slots.
    fn stray_write(&mut self, me: usize, session: &Session, made: u64, by: Replacement) {
        self.tally.stray_writes += 1;
        self.trace.say(|| {
            let (server, of, name) = (me + 1, by.server + 1, session.name());
            let (made, since) = (made as f64 / 1000.0, by.since as f64 / 1000.0);
            format!(
                "redis-{server} writes astray for {name}, a connection of {made:.3} s: redis-{of} has the slots since \
                 {since:.3} s"
            )
        });
    }

    fn dispatch(&mut self, me: usize, session: &mut Session, command: Args, asking: bool) -> Outcome {
        let Some((name, args)) = command.split_first() else { return Outcome::Reply(Reply::error("ERR no command")) };
        let name = upper(text(name));
        let keyed = match keys(&name, args) {
            Ok(keyed) => keyed,
            Err(fault) => return Outcome::Reply(fault),
        };
        if let Some((keys, access)) = keyed
            && let Err(elsewhere) = self.route(me, keys, access, asking, session.read_only)
        {
            return Outcome::Reply(elsewhere);
        }
        let reply = match &*name {
            "PING" | "ECHO" | "HELLO" | "CLIENT" | "SELECT" | "AUTH" | "READONLY" | "READWRITE" | "COMMAND" => {
                connection::run(self, me, session, &name, args)
            }
            "ASKING" => {
                session.asking = true;
                Ok(Reply::OK)
            }
            "QUIT" => return Outcome::Close,
            "WAIT" => return self.wait_command(me, args),
            "SET" | "GET" | "DEL" | "EXISTS" | "PEXPIRE" | "EXPIRE" | "PTTL" | "TYPE" | "XADD" | "XRANGE"
            | "XREVRANGE" | "XLEN" | "XTRIM" | "XDEL" | "DBSIZE" => streams::run(self, me, &name, args),
            "FUNCTION" | "FCALL" | "FCALL_RO" => functions::run(self, me, &name, args),
            "EVAL" => planted::run(self, me, args),
            "SPUBLISH" => pubsub::publish(self, me, args),
            "SSUBSCRIBE" | "SUNSUBSCRIBE" => {
                pubsub::subscribe(self, me, session, &name, args);
                return Outcome::Silent;
            }
            "CLUSTER" => cluster::run(self, me, args),
            "INFO" | "ROLE" | "CONFIG" | "TIME" => info::run(self, me, &name, args),
            _ => {
                let args: Vec<_> = args.iter().map(|arg| format!("'{}' ", text(arg))).collect();
                Err(Reply::error(format!("ERR unknown command '{name}', with args beginning with: {}", args.concat())))
            }
        };
        Outcome::Reply(reply.unwrap_or_else(|fault| fault))
    }

    fn wait_command(&mut self, me: usize, args: Args) -> Outcome {
        let parsed = match args {
            [replicas, patience] => number(replicas).and_then(|replicas| Ok((replicas, number(patience)?))),
            _ => Err(wrong_arguments("wait")),
        };
        match parsed {
            Err(fault) => Outcome::Reply(fault),
            Ok(_) if !self.servers[me].is_primary() => Outcome::Reply(Reply::error(
                "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica \
                 is configured to be writable (which is not the default) writes to replicas are just local and are not \
                 propagated.",
            )),
            Ok((replicas, patience)) => {
                Outcome::Wait { replicas: replicas as usize, patience: Duration::from_millis(patience) }
            }
        }
    }

    /// May this server serve these keys? The error is what it answers instead.
    fn route(&self, me: usize, keys: Args, access: Access, asking: bool, read_only: bool) -> Result<(), Reply> {
        let Some(slot) = keys.first().map(|key| slot_of(key)) else { return Ok(()) };
        if keys[1..].iter().any(|key| slot_of(key) != slot) {
            return Err(Reply::error("CROSSSLOT Keys in request don't hash to the same slot"));
        }
        let server = &self.servers[me];
        let serves = server.state_ok || (access == Access::Read && self.settings.reads_when_down);
        if !serves {
            let reads = if access == Access::Write && self.settings.reads_when_down {
                " and only accepts read commands"
            } else {
                ""
            };
            return Err(Reply::error(format!("CLUSTERDOWN The cluster is down{reads}")));
        }
        let owner = server.view.owner[self.unit_of(slot)];
        let missing = || keys.iter().filter(|key| !server.store.holds(key)).count();
        let unstable = || Reply::error("TRYAGAIN Multiple keys request during rehashing of slot");
        let there = |to: usize, word: &str| Reply::error(format!("{word} {slot} {}", self.servers[to].address()));
        if access != Access::Channel {
            if let Some(target) = server.migrating.get(&slot).filter(|_| owner == me) {
                match missing() {
                    0 => {}
                    some if some < keys.len() => return Err(unstable()),
                    _ => return Err(there(*target, "ASK")),
                }
            }
            if asking && server.importing.contains_key(&slot) {
                return if keys.len() > 1 && missing() > 0 { Err(unstable()) } else { Ok(()) };
            }
        }
        let for_its_primary =
            server.master() == Some(owner) && (access == Access::Channel || (access == Access::Read && read_only));
        if owner == me || for_its_primary { Ok(()) } else { Err(there(owner, "MOVED")) }
    }
}

/// The keys that a command names, and what it does with them; `None` for a command without keys.
fn keys<'a>(name: &str, args: Args<'a>) -> Result<Option<(Args<'a>, Access)>, Reply> {
    let access = match name {
        "GET" | "EXISTS" | "PTTL" | "TYPE" | "XRANGE" | "XREVRANGE" | "XLEN" => Access::Read,
        "SET" | "DEL" | "PEXPIRE" | "EXPIRE" | "XADD" | "XTRIM" | "XDEL" => Access::Write,
        "SPUBLISH" | "SSUBSCRIBE" => Access::Channel,
        "FCALL" | "FCALL_RO" | "EVAL" => {
            let access = if name == "FCALL_RO" { Access::Read } else { Access::Write };
            let count = number(args.get(1).ok_or_else(|| wrong_arguments(name))?)? as usize;
            // Too few keys name none: the function is looked for first, and says so (measured).
            let Some(keys) = args.get(2..2 + count) else { return Ok(None) };
            return Ok(Some((keys, access)));
        }
        _ => return Ok(None),
    };
    let first = args.get(..1).ok_or_else(|| wrong_arguments(name))?;
    let all = matches!(name, "DEL" | "EXISTS" | "SSUBSCRIBE");
    Ok(Some((if all { args } else { first }, access)))
}
