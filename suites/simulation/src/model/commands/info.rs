//! What a server says about itself: INFO, ROLE, CONFIG GET, TIME.
//! Source: redis.io/docs/latest/commands/info, /role, /config-get; field names as printed by 7.0 to 8.2.

use std::fmt::Write as _;

use super::super::command::{Args, Done, text, wrong_arguments};
use super::super::resp::Reply;
use super::super::server::Server;
use super::super::state::State;

pub fn run(state: &mut State, me: usize, name: &str, args: Args) -> Done {
    match (name, args) {
        ("INFO", sections) => Ok(Reply::text(info(state, me, sections))),
        ("ROLE", []) => Ok(role(state, me)),
        ("CONFIG", [get, patterns @ ..]) if get.eq_ignore_ascii_case(b"GET") => Ok(config(state, patterns)),
        ("TIME", []) => {
            let now = state.servers[me].now_ms(state.world_ms());
            Ok(Reply::Array(vec![Reply::text((now / 1000).to_string()), Reply::text((now % 1000 * 1000).to_string())]))
        }
        _ => Err(wrong_arguments(name)),
    }
}

fn info(state: &State, me: usize, sections: Args) -> String {
    let server = &state.servers[me];
    let asked =
        |section: &str| sections.is_empty() || sections.iter().any(|s| s.eq_ignore_ascii_case(section.as_bytes()));
    let mut out = String::new();
    if asked("server") {
        out += &format!(
            "# Server\r\nredis_version:{}\r\nredis_mode:cluster\r\nprocess_id:{}\r\ntcp_port:{}\r\nuptime_in_seconds:{}\r\n\r\n",
            state.settings.version,
            1000 + me as u64 + 100 * server.life,
            server.port,
            server.booted.elapsed().as_secs()
        );
    }
    if asked("persistence") {
        out += &format!("# Persistence\r\nloading:0\r\naof_enabled:{}\r\n\r\n", u8::from(state.settings.persisted));
    }
    if asked("replication") {
        out += &replication(state, server);
    }
    if asked("commandstats") {
        out += &format!("# Commandstats\r\ncmdstat_fcall:calls={},usec=0\r\n\r\n", server.writes);
    }
    if asked("cluster") {
        out += "# Cluster\r\ncluster_enabled:1\r\n\r\n";
    }
    out
}

/// Behind every fence and with every question about the topology: written in one piece.
fn replication(state: &State, server: &Server) -> String {
    let mut out = String::with_capacity(600);
    let _ = match server.master() {
        None => out.write_str("# Replication\r\nrole:master\r\n"),
        Some(master) => as_replica(state, server, master, &mut out),
    };
    let _ = write!(out, "connected_slaves:{}\r\n", server.replicas.len());
    for (at, (index, attached)) in server.replicas.iter().enumerate() {
        let _ = write!(
            out,
            "slave{at}:ip={},port={},state={},offset={},lag={}\r\n",
            state.servers[*index].ip,
            state.servers[*index].port,
            if attached.online { "online" } else { "send_bulk" },
            attached.acked,
            attached.last_ack.elapsed().as_secs(),
        );
    }
    let _ = write!(
        out,
        "master_failover_state:no-failover\r\nmaster_replid:{:040x}\r\nmaster_replid2:{:040}\r\n\
         master_repl_offset:{}\r\nsecond_repl_offset:-1\r\n\r\n",
        server.replication_id, 0, server.offset
    );
    out
}

fn as_replica(state: &State, server: &Server, master: usize, out: &mut String) -> std::fmt::Result {
    let link = &server.link;
    let last_io = if link.up() { link.last_io.elapsed().as_secs() as i64 } else { -1 };
    write!(
        out,
        "# Replication\r\nrole:slave\r\nmaster_host:{}\r\nmaster_port:{}\r\nmaster_link_status:{}\r\n\
         master_last_io_seconds_ago:{last_io}\r\nmaster_sync_in_progress:{}\r\n\
         slave_read_repl_offset:{offset}\r\nslave_repl_offset:{offset}\r\n",
        state.servers[master].ip,
        state.servers[master].port,
        if link.up() { "up" } else { "down" },
        u8::from(link.syncing),
        offset = server.offset,
    )?;
    if !link.up() {
        let down = link.down_since.map_or(-1, |since| since.elapsed().as_secs() as i64);
        write!(out, "master_link_down_since_seconds:{down}\r\n")?;
    }
    out.write_str("slave_priority:100\r\nslave_read_only:1\r\nreplica_announced:1\r\n")
}

fn role(state: &State, me: usize) -> Reply {
    let server = &state.servers[me];
    match server.master() {
        None => {
            let replicas = server.replicas.iter().filter(|(_, attached)| attached.online).map(|(index, attached)| {
                let replica = &state.servers[*index];
                Reply::Array(vec![
                    Reply::text(replica.ip.clone()),
                    Reply::text(replica.port.to_string()),
                    Reply::text(attached.acked.to_string()),
                ])
            });
            Reply::Array(vec![
                Reply::text("master"),
                Reply::Int(server.offset as i64),
                Reply::Array(replicas.collect()),
            ])
        }
        Some(master) => {
            let status = match (server.link.up(), server.link.syncing) {
                (true, _) => "connected",
                (false, true) => "sync",
                (false, false) => "connect",
            };
            Reply::Array(vec![
                Reply::text("slave"),
                Reply::text(state.servers[master].ip.clone()),
                Reply::Int(i64::from(state.servers[master].port)),
                Reply::text(status),
                Reply::Int(if server.link.up() { server.offset as i64 } else { -1 }),
            ])
        }
    }
}

fn config(state: &State, patterns: Args) -> Reply {
    let settings = &state.settings;
    let known = [
        ("appendonly", if settings.persisted { "yes" } else { "no" }.to_owned()),
        ("cluster-allow-pubsubshard-when-down", "no".to_owned()),
        ("cluster-node-timeout", settings.node_timeout.as_millis().to_string()),
        ("cluster-replica-validity-factor", settings.validity_factor.to_string()),
        ("cluster-require-full-coverage", "no".to_owned()),
        ("cluster-slave-validity-factor", settings.validity_factor.to_string()),
        ("repl-ping-replica-period", settings.repl_ping.as_secs().to_string()),
        ("repl-ping-slave-period", settings.repl_ping.as_secs().to_string()),
        ("repl-timeout", settings.repl_timeout.as_secs().to_string()),
        ("save", String::new()),
    ];
    let asked = |name: &str| patterns.iter().any(|pattern| matches(text(pattern), name));
    let pairs = known.into_iter().filter(|(name, _)| asked(name));
    Reply::Map(pairs.map(|(name, value)| (Reply::text(name), Reply::text(value))).collect())
}

/// A name, or a prefix before `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern.eq_ignore_ascii_case(name),
        Some((prefix, rest)) => name.starts_with(prefix) && name.ends_with(rest),
    }
}
