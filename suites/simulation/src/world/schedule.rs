//! A mixed schedule of faults from a seed.
//!
//! Within the promise (docs/contract.md: any one Redis process, any number of chat nodes): a shard has one episode at a time
//! and is given time to heal before its next; at most one shard at a time loses or misses its primary, since two of
//! three would leave no majority to elect with. Chat nodes and their links fail whenever they like.

use super::fault::{Fault, Planned, Way};
use crate::chance::Chance;

pub struct Bounds {
    pub shards: usize,
    pub replicas: usize,
    pub nodes: usize,
    pub clients: usize,
    pub rooms: usize,
    /// Rooms are trimmed, by an operator, now and then.
    pub trims: bool,
    /// Faults begin and end within this, milliseconds.
    pub from: u64,
    pub until: u64,
}

pub fn mixed(chance: &mut Chance, bounds: &Bounds) -> Vec<Planned> {
    let mut planned = Vec::new();
    let mut at = bounds.from;
    // Episodes of shards, one after another: first the primary's kind, then quieter ones beside it.
    while at < bounds.until {
        // The loss of a primary while a slot migrates is not promised (docs/delivery.md), so a migration is alone.
        if chance.percent(8) {
            let fault = Fault::Migrate { room: chance.index(bounds.rooms), pace_ms: chance.between(1, 6) };
            planned.push(Planned { at, lasts: 4000, fault });
            at += 5000;
            continue;
        }
        let shard = chance.index(bounds.shards);
        let (fault, lasts, mut heals) = of_shard(chance, shard, bounds.shards, bounds.replicas);
        if chance.percent(12)
            && let Some(dies) = misses_its_primary(&fault, at, lasts)
        {
            // Both replicas stand within four seconds, and each again four seconds after it did.
            planned.push(Planned { at, lasts: dies - at + 4000, fault: Fault::SpoilElections { shard, nth: None } });
            heals += 5000;
        }
        planned.push(Planned { at, lasts, fault });
        let mut until = at + lasts + heals;
        if chance.percent(30) {
            let other = (shard + 1 + chance.index(bounds.shards - 1)) % bounds.shards;
            let (at, (fault, lasts)) = (at + chance.between(0, 1500), quiet(chance, other, bounds.replicas));
            planned.push(Planned { at, lasts, fault });
            until = until.max(at + lasts + 1000);
        }
        at = until + chance.between(0, 3000);
    }
    let mut at = bounds.from;
    while at < bounds.until {
        let (fault, lasts) = of_node(chance, bounds);
        planned.push(Planned { at, lasts, fault });
        at += chance.between(1000, 8000);
    }
    let mut at = bounds.from;
    while at < bounds.until {
        let client = chance.index(bounds.clients);
        let (fault, lasts) = if chance.percent(70) {
            (Fault::CutClient { client, way: way(chance) }, chance.between(100, 5000))
        } else {
            (Fault::ResetClient { client }, 0)
        };
        planned.push(Planned { at, lasts, fault });
        at += chance.between(2000, 12_000);
    }
    if bounds.trims {
        let trim = |room| Fault::Trim { room };
        planned.extend((0..12).map(|_| {
            let at = chance.between(bounds.from, bounds.until);
            Planned { at, lasts: 0, fault: trim(chance.index(bounds.rooms)) }
        }));
    }
    if chance.percent(40) {
        let (nth, ms) = (chance.index(bounds.replicas), -(chance.between(500, 60_000) as i64));
        planned.push(Planned {
            at: 0,
            lasts: 0,
            fault: Fault::ClockBehind { shard: chance.index(bounds.shards), nth, ms },
        });
    }
    planned.retain(|planned| planned.at < bounds.until);
    planned.sort_by_key(|planned| planned.at);
    planned
}

/// An episode of one shard, how long it lasts, and how long until the shard may have its next.
fn of_shard(chance: &mut Chance, shard: usize, shards: usize, replicas: usize) -> (Fault, u64, u64) {
    let nth = chance.index(replicas);
    let machine = chance.percent(40);
    let long = chance.between(200, 6000);
    match chance.between(0, 99) {
        0..=17 => (Fault::KillPrimary { shard, machine }, chance.between(500, 5000), 5000),
        18..=29 => (Fault::StallThenKill { shard }, chance.between(50, 900), 7000),
        30..=39 => (Fault::LagThenKill { shard, ms: chance.between(5, 300) }, chance.between(500, 2000), 7000),
        40..=57 => (Fault::PausePrimary { shard }, long, 4000),
        58..=69 => {
            let (with, reset) = (chance.index(replicas + 1), chance.percent(50));
            let way = if chance.percent(60) { Way::Both } else { way(chance) };
            (Fault::CutOffPrimary { shard, with, way, reset }, long, 4000)
        }
        70..=73 => (Fault::CutPrimaryBus { shard }, long, 4000),
        74..=76 => {
            let servers = shards * (1 + replicas);
            let one = chance.index(servers);
            let other = (one + 1 + chance.index(servers - 1)) % servers;
            (Fault::CutServers { one, other, way: way(chance) }, long, 4000)
        }
        77..=79 => (Fault::KillReplica { shard, nth, machine }, long, 3000),
        80..=83 => (Fault::CutReplicaBus { shard, nth }, long, 3000),
        _ => {
            let (fault, lasts) = quiet(chance, shard, replicas);
            (fault, lasts, 3000)
        }
    }
}

/// When a shard begins to miss its primary by this fault, if it may.
fn misses_its_primary(fault: &Fault, at: u64, lasts: u64) -> Option<u64> {
    let only_then = matches!(fault, Fault::StallThenKill { .. } | Fault::LagThenKill { .. });
    fault.costs_primary().map(|_| if only_then { at + lasts } else { at })
}

/// What costs no primary.
fn quiet(chance: &mut Chance, shard: usize, replicas: usize) -> (Fault, u64) {
    let nth = chance.index(replicas);
    let lasts = chance.between(100, 4000);
    let fault = match chance.between(0, 4) {
        0 => Fault::PauseReplica { shard, nth },
        1 => Fault::CutReplica { shard, nth, way: way(chance) },
        2 => Fault::Lag { shard, ms: chance.between(5, 200) },
        3 => Fault::Detach { shard, nth },
        _ => Fault::KillReplica { shard, nth, machine: chance.percent(40) },
    };
    (fault, lasts)
}

fn of_node(chance: &mut Chance, bounds: &Bounds) -> (Fault, u64) {
    let (node, shard) = (chance.index(bounds.nodes), chance.index(bounds.shards));
    let lasts = chance.between(100, 4000);
    let fault = match chance.between(0, 5) {
        0 | 1 => Fault::CrashNode { node, machine: chance.percent(40) },
        2 | 3 => Fault::CutNode { node, shard, way: way(chance) },
        4 => Fault::IsolateNode { node, but: None },
        _ => Fault::ResetNode { node, shard },
    };
    (fault, lasts)
}

fn way(chance: &mut Chance) -> Way {
    *chance.pick(&[Way::Both, Way::Out, Way::In])
}
