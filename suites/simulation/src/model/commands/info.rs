//! What a server says about itself: INFO, ROLE, CONFIG GET, TIME.
//! Source: redis.io/docs/latest/commands/info, /role, /config-get; field names as printed by 7.0 to 8.2.

use super::super::command::{Args, Done, text, wrong_arguments};
use super::super::resp::{Reply, push_number};
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
    match server.master() {
        None => out.push_str("# Replication\r\nrole:master\r\n"),
        Some(master) => as_replica(state, server, master, &mut out),
    }
    say(&mut out, "connected_slaves:", server.replicas.len() as u64);
    out.push_str("\r\n");
    for (at, (index, attached)) in server.replicas.iter().enumerate() {
        let replica = &state.servers[*index];
        say(&mut out, "slave", at as u64);
        for word in [":ip=", &replica.ip, ",port="] {
            out.push_str(word);
        }
        push_number(&mut out, replica.port.into());
        out.push_str(if attached.online { ",state=online" } else { ",state=send_bulk" });
        say(&mut out, ",offset=", attached.acked);
        say(&mut out, ",lag=", attached.last_ack.elapsed().as_secs());
        out.push_str("\r\n");
    }
    out.push_str("master_failover_state:no-failover\r\nmaster_replid:");
    let id = server.replication_id;
    out.extend((0..40).rev().map(|digit| if digit < 16 { hexadecimal(id >> (4 * digit)) } else { '0' }));
    out.push_str("\r\nmaster_replid2:0000000000000000000000000000000000000000\r\n");
    say(&mut out, "master_repl_offset:", server.offset);
    out.push_str("\r\nsecond_repl_offset:-1\r\n\r\n");
    out
}

fn say(out: &mut String, name: &str, number: u64) {
    out.push_str(name);
    push_number(out, number);
}

fn hexadecimal(half: u64) -> char {
    char::from(b"0123456789abcdef"[(half & 15) as usize])
}

fn as_replica(state: &State, server: &Server, master: usize, out: &mut String) {
    let (link, master) = (&server.link, &state.servers[master]);
    for word in ["# Replication\r\nrole:slave\r\nmaster_host:", &master.ip, "\r\n"] {
        out.push_str(word);
    }
    say(out, "master_port:", master.port.into());
    if link.up() {
        say(out, "\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:", link.last_io.elapsed().as_secs());
    } else {
        out.push_str("\r\nmaster_link_status:down\r\nmaster_last_io_seconds_ago:-1");
    }
    say(out, "\r\nmaster_sync_in_progress:", u64::from(link.syncing));
    say(out, "\r\nslave_read_repl_offset:", server.offset);
    say(out, "\r\nslave_repl_offset:", server.offset);
    out.push_str("\r\n");
    if !link.up() {
        match link.down_since {
            Some(since) => say(out, "master_link_down_since_seconds:", since.elapsed().as_secs()),
            None => out.push_str("master_link_down_since_seconds:-1"),
        }
        out.push_str("\r\n");
    }
    out.push_str("slave_priority:100\r\nslave_read_only:1\r\nreplica_announced:1\r\n");
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
        ("repl-timeout", settings.repl_timeout().as_secs().to_string()),
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
