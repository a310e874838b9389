//! CLUSTER: how this server sees the others.
//! Source: redis.io/docs/latest/commands/cluster-nodes, -slots, -shards, -info, -setslot.

use std::fmt::Write as _;

use tokio::time::Instant;

use super::super::command::{Args, Done, number, text, upper, wrong_arguments};
use super::super::resp::{Reply, push_number};
use super::super::slot::slot_of;
use super::super::state::State;
use super::super::view::Role;

pub fn run(state: &mut State, me: usize, args: Args) -> Done {
    let Some((what, args)) = args.split_first() else { return Err(wrong_arguments("cluster")) };
    match (&*upper(text(what)), args) {
        ("MYID", []) => Ok(Reply::text(state.servers[me].id.clone())),
        ("NODES", []) => Ok(Reply::text(nodes(state, me))),
        ("SLOTS", []) => Ok(slots(state, me)),
        ("SHARDS", []) => Ok(shards(state, me)),
        ("INFO", []) => Ok(Reply::text(info(state, me))),
        ("KEYSLOT", [key]) => Ok(Reply::Int(i64::from(slot_of(key)))),
        ("COUNTKEYSINSLOT", [slot]) => {
            Ok(Reply::Int(state.servers[me].store.keys_of_slot(number(slot)? as u16).len() as i64))
        }
        (other, _) => Err(Reply::error(format!("ERR unknown subcommand '{other}'. Try CLUSTER HELP."))),
    }
}

/// Slots of a server from first to last, ascending; neighbouring units are one range.
fn ranges(state: &State, me: usize, of: usize) -> Vec<(u16, u16)> {
    let mut joined: Vec<(u16, u16)> = Vec::new();
    for unit in state.servers[me].view.owned_by(of).map(|unit| state.units[unit]) {
        match joined.last_mut() {
            Some(last) if last.1 + 1 == unit.first => last.1 = unit.last,
            _ => joined.push((unit.first, unit.last)),
        }
    }
    joined
}

/// Asked for several times a second by every chat node: written in one piece.
fn nodes(state: &State, me: usize) -> String {
    let view = &state.servers[me].view;
    let (now, world_ms) = (Instant::now(), state.world_ms());
    let mut out = String::with_capacity(view.peers.len() * 150);
    for (index, peer) in view.peers.iter().enumerate() {
        let server = &state.servers[index];
        let myself = if index == me { "myself," } else { "" };
        let role = if peer.role == Role::Primary { "master" } else { "slave" };
        let suspected = if peer.suspected { ",fail?" } else { "" };
        let failed = if peer.failed.is_some() { ",fail" } else { "" };
        let (master, epoch) = match peer.role {
            Role::Primary => ("-", peer.config_epoch),
            Role::ReplicaOf(master) => (state.servers[master].id.as_str(), view.peers[master].config_epoch),
        };
        let link = if index == me || (!peer.suspected && peer.failed.is_none()) { "connected" } else { "disconnected" };
        let pong = world_ms.saturating_sub((now - peer.heard).as_millis() as u64);
        for word in [&server.announced, " ", myself, role, suspected, failed, " ", master] {
            out.push_str(word);
        }
        out.push_str(" 0 ");
        push_number(&mut out, pong);
        out.push(' ');
        push_number(&mut out, epoch);
        out.push(' ');
        out.push_str(link);
        for (first, last) in ranges(state, me, index) {
            out.push(' ');
            push_number(&mut out, first.into());
            if first != last {
                out.push('-');
                push_number(&mut out, last.into());
            }
        }
        if index == me {
            for (slot, to) in &server.migrating {
                let _ = write!(out, " [{slot}->-{}]", state.servers[*to].id);
            }
            for (slot, from) in &server.importing {
                let _ = write!(out, " [{slot}-<-{}]", state.servers[*from].id);
            }
        }
        out.push('\n');
    }
    out
}

fn replicas_seen(state: &State, me: usize, of: usize) -> Vec<usize> {
    let view = &state.servers[me].view;
    let follows = |index: &usize| view.peers[*index].role == Role::ReplicaOf(of) && view.peers[*index].failed.is_none();
    (0..view.peers.len()).filter(follows).collect()
}

fn slots(state: &State, me: usize) -> Reply {
    let node = |index: usize| {
        let server = &state.servers[index];
        Reply::Array(vec![
            Reply::text(server.ip.clone()),
            Reply::Int(i64::from(server.port)),
            Reply::text(server.id.clone()),
            Reply::Map(Vec::new()),
        ])
    };
    let mut rows: Vec<(u16, Reply)> = Vec::new();
    for owner in 0..state.servers.len() {
        for (low, high) in ranges(state, me, owner) {
            let mut row = vec![Reply::Int(i64::from(low)), Reply::Int(i64::from(high)), node(owner)];
            row.extend(replicas_seen(state, me, owner).into_iter().map(node));
            rows.push((low, Reply::Array(row)));
        }
    }
    rows.sort_by_key(|(low, _)| *low);
    Reply::Array(rows.into_iter().map(|(_, row)| row).collect())
}

fn shards(state: &State, me: usize) -> Reply {
    let view = &state.servers[me].view;
    let node = |index: usize, role: &str| {
        let server = &state.servers[index];
        let health = if view.peers[index].failed.is_some() { "fail" } else { "online" };
        let pair = |key: &str, value: Reply| (Reply::text(key), value);
        Reply::Map(vec![
            pair("id", Reply::text(server.id.clone())),
            pair("port", Reply::Int(i64::from(server.port))),
            pair("ip", Reply::text(server.ip.clone())),
            pair("endpoint", Reply::text(server.ip.clone())),
            pair("role", Reply::text(role)),
            pair("replication-offset", Reply::Int(view.peers[index].offset as i64)),
            pair("health", Reply::text(health)),
        ])
    };
    let primaries = (0..view.peers.len()).filter(|index| view.peers[*index].role == Role::Primary);
    let shard = |primary: usize| {
        let slots = ranges(state, me, primary).into_iter().flat_map(|(low, high)| [low, high]);
        let slots = slots.map(|slot| Reply::Int(i64::from(slot))).collect();
        let replicas = (0..view.peers.len()).filter(|index| view.peers[*index].role == Role::ReplicaOf(primary));
        let nodes = std::iter::once(node(primary, "master")).chain(replicas.map(|index| node(index, "replica")));
        Reply::Map(vec![
            (Reply::text("slots"), Reply::Array(slots)),
            (Reply::text("nodes"), Reply::Array(nodes.collect())),
        ])
    };
    Reply::Array(primaries.map(shard).collect())
}

fn info(state: &State, me: usize) -> String {
    let server = &state.servers[me];
    let view = &server.view;
    let owners_failed = |suspected: bool| {
        let slots = view.owner.iter().enumerate().filter(|(_, owner)| {
            let peer = &view.peers[**owner];
            if suspected { peer.suspected } else { peer.failed.is_some() }
        });
        slots.map(|(unit, _)| state.units[unit]).map(|unit| usize::from(unit.last - unit.first) + 1).sum::<usize>()
    };
    let (pfail, fail) = (owners_failed(true), owners_failed(false));
    format!(
        "cluster_state:{}\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:{}\r\ncluster_slots_pfail:{pfail}\r\n\
         cluster_slots_fail:{fail}\r\ncluster_known_nodes:{}\r\ncluster_size:{}\r\ncluster_current_epoch:{}\r\n\
         cluster_my_epoch:{}\r\n",
        if server.state_ok { "ok" } else { "fail" },
        16_384 - pfail - fail,
        view.peers.len(),
        view.voters().count(),
        view.current_epoch,
        view.peers[server.master().unwrap_or(me)].config_epoch,
    )
}
