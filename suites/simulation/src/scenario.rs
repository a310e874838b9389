//! Plans by name: the mix, and for each hole that the protocol closes a scenario aimed at it.
//!
//! Random faults alone are not enough: a mix of 400 seeds never hit the read-only dedupe hit that an aimed scenario
//! hits in 174 of 200 (measured on a prototype). So each negative control leaves one rule out, is played in the
//! scenario aimed at it, and must be caught in a minimum number of fixed seeds; the same scenario with the whole
//! protocol must be good in all of them.

use chaos_checkers::Rule;
use system_delivery::Fence;

use crate::chance::Chance;
use crate::model::slot::SLOTS;
use crate::world::fault::{Fault, Planned, Way};
use crate::world::inject::slot_of_room;
use crate::world::plan::{Plan, room};

pub type Make = fn(u64) -> Plan;

/// A rule of the protocol left out, and how it must be caught.
pub struct Control {
    pub name: &'static str,
    /// What is left out, for people.
    pub left_out: &'static str,
    pub scenario: Make,
    /// The same scenario with the rule missing.
    pub break_it: fn(&mut Plan),
    /// Any of these must fail.
    pub caught_by: &'static [Rule],
    /// In at least so many of the seeds `0..seeds`.
    pub at_least: u64,
    pub seeds: u64,
}

fn fault(at: u64, lasts: u64, fault: Fault) -> Planned {
    Planned { at, lasts, fault }
}

fn aimed(seed: u64) -> (Plan, Chance) {
    let mut plan = Plan::quiet(seed);
    plan.chat_ms = 12_000;
    (plan, Chance::new(seed).fork("aim"))
}

/// The shard that a room begins in.
fn shard_of(plan: &Plan, nth: usize) -> usize {
    let share = usize::from(SLOTS) / plan.redis.shards;
    (usize::from(slot_of_room(&room(nth))) / share).min(plan.redis.shards - 1)
}

/// A shard in which something is said.
fn busy_shard(plan: &Plan, chance: &mut Chance) -> usize {
    shard_of(plan, chance.index(plan.rooms))
}

/// Replication is late, then the primary of each shard dies in turn.
fn late_then_dead(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let ms = chance.between(100, 300);
    plan.faults =
        vec![fault(1000, chance.between(1500, 2500), Fault::LagThenKill { shard: busy_shard(&plan, &mut chance), ms })];
    plan
}

/// Links stall, the nodes' connections break so that everything is sent again, then the primary dies.
fn sent_again_then_dead(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let shard = busy_shard(&plan, &mut chance);
    let at = chance.between(2000, 3000);
    plan.faults = vec![fault(at, 2700, Fault::StallThenKill { shard })];
    // By the first break every sender waits for an ack; what is sent again after the second was all appended before, so
    // that nothing new in the batch moves the connection's WAIT offset.
    for after in [900, 1500, 2100] {
        let again = at + after + chance.between(0, 100);
        plan.faults.push(fault(again, 0, Fault::ResetNode { node: 0, shard }));
        plan.faults.push(fault(again, 0, Fault::ResetNode { node: 1, shard }));
    }
    plan
}

/// Connections break while appends are under way.
fn broken_connections(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    plan.faults = (0..20)
        .map(|_| {
            let (node, shard) = (chance.index(2), busy_shard(&plan, &mut chance));
            fault(chance.between(1000, 11_000), 0, Fault::ResetNode { node, shard })
        })
        .collect();
    plan
}

/// A primary answers while nothing of it reaches its replicas, for several sweeps, and dies: what it said of that time
/// is gone. Then another is cut off and replaced.
fn stale_primary(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let shard = busy_shard(&plan, &mut chance);
    plan.faults = vec![
        fault(2000, chance.between(1800, 2600), Fault::StallThenKill { shard }),
        fault(8000, chance.between(2500, 3500), Fault::CutOffPrimary { shard, with: 0, reset: false }),
    ];
    plan
}

/// A primary is cut off together with one of its two replicas, the connections to the rest reset.
fn minority_with_a_replica(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let shard = busy_shard(&plan, &mut chance);
    plan.faults = vec![fault(2000, 5000, Fault::CutOffPrimary { shard, with: 1, reset: true })];
    plan
}

/// One replica is cut off from the bus alone and goes on replicating; the other, which can be elected, gets nothing for
/// a moment; then the primary dies.
fn stand_in_replica(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let shard = busy_shard(&plan, &mut chance);
    let dies = 5000 + chance.between(0, 500);
    plan.faults = vec![
        fault(2000, 8000, Fault::CutReplicaBus { shard, nth: 0 }),
        fault(dies - 700, 800, Fault::CutReplica { shard, nth: 1, way: Way::In }),
        fault(dies, 500, Fault::KillPrimary { shard, machine: false }),
    ];
    plan
}

/// A primary dies and is there again before anybody noticed.
fn back_too_soon(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    plan.faults = vec![fault(5000, 200, Fault::FastRestart { shard: busy_shard(&plan, &mut chance) })];
    plan
}

/// A node hears nothing of a shard while the last things are said there, and its connections are new afterwards.
fn deaf(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    plan.manners.pace = (400, 1500);
    (plan.manners.moves, plan.manners.leaves, plan.manners.slow) = (0, 0, 0);
    // Its own users would ring bells of their own.
    plan.silent_node = Some(1);
    let cut = plan.chat_ms - chance.between(1200, 1800);
    let mut shards: Vec<_> = (0..plan.rooms).map(|nth| shard_of(&plan, nth)).collect();
    shards.sort_unstable();
    shards.dedup();
    for shard in shards {
        plan.faults.push(fault(cut, plan.chat_ms, Fault::CutNode { node: 1, shard, way: Way::Both }));
        plan.faults.push(fault(cut, 0, Fault::ResetNode { node: 1, shard }));
    }
    plan
}

/// Users move between a node that is behind and one that is not.
fn moving_users(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    plan.manners.moves = 30;
    plan.faults = (0..8)
        .map(|_| {
            let (node, shard) = (chance.index(2), busy_shard(&plan, &mut chance));
            fault(
                chance.between(1000, 11_000),
                chance.between(200, 1500),
                Fault::CutNode { node, shard, way: Way::Both },
            )
        })
        .collect();
    plan
}

/// Rooms are trimmed while users are away.
fn trimmed(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    (plan.manners.moves, plan.manners.away) = (12, (500, 2500));
    plan.history_window = std::time::Duration::from_secs(1);
    plan.faults =
        (0..12).map(|_| fault(chance.between(1500, 11_000), 0, Fault::Trim { room: chance.index(4) })).collect();
    plan
}

fn switch(plan: &mut Plan, name: &str) {
    name.clone_into(&mut plan.broken);
}

pub const CONTROLS: &[Control] = &[
    Control {
        name: "no-fence",
        left_out: "WAIT before an ack",
        scenario: late_then_dead,
        break_it: |plan| plan.fence = Fence::None,
        caught_by: &[Rule::R12],
        at_least: 3,
        seeds: 4,
    },
    Control {
        name: "no-dedupe",
        left_out: "one entry per message id",
        scenario: broken_connections,
        break_it: |plan| switch(plan, "no_dedupe"),
        caught_by: &[Rule::R4, Rule::R5],
        at_least: 2,
        seeds: 4,
    },
    Control {
        name: "read-only-hit",
        left_out: "the write of a dedupe hit",
        scenario: sent_again_then_dead,
        break_it: |plan| switch(plan, "read_only_hit"),
        caught_by: &[Rule::R12],
        at_least: 2,
        seeds: 4,
    },
    Control {
        name: "uncommitted",
        left_out: "delivery of committed entries only",
        scenario: late_then_dead,
        break_it: |plan| switch(plan, "uncommitted"),
        caught_by: &[Rule::R4, Rule::R5, Rule::R7, Rule::R8, Rule::R10, Rule::R11],
        at_least: 3,
        seeds: 4,
    },
    Control {
        name: "believe-stale",
        left_out: "proof of what a server says",
        scenario: stale_primary,
        break_it: |plan| switch(plan, "believe_stale"),
        caught_by: &[Rule::R1, Rule::R4, Rule::R5, Rule::R7, Rule::R8, Rule::R10, Rule::R11],
        at_least: 3,
        seeds: 4,
    },
    Control {
        name: "attached-only",
        left_out: "in k, the replicas that could be elected and are not attached",
        scenario: minority_with_a_replica,
        break_it: |plan| switch(plan, "attached_only"),
        caught_by: &[Rule::R12],
        at_least: 3,
        seeds: 4,
    },
    Control {
        name: "unattached-only",
        left_out: "in k, the replicas that are attached and could not be elected",
        scenario: stand_in_replica,
        break_it: |plan| switch(plan, "unattached_only"),
        caught_by: &[Rule::R12],
        at_least: 3,
        seeds: 4,
    },
    Control {
        name: "fast-restart-no-aof",
        left_out: "the append-only file",
        scenario: back_too_soon,
        break_it: |plan| plan.redis.persisted = false,
        caught_by: &[Rule::R12],
        at_least: 3,
        seeds: 4,
    },
    Control {
        name: "no-existence-check",
        left_out: "the look whether a resuming client's entry is still there",
        scenario: trimmed,
        break_it: |plan| switch(plan, "no_existence_check"),
        caught_by: &[Rule::R1, Rule::R8, Rule::R10],
        at_least: 3,
        seeds: 4,
    },
    Control {
        name: "no-sweep",
        left_out: "the sweep that finds what bells missed",
        scenario: deaf,
        break_it: |plan| switch(plan, "no_sweep"),
        caught_by: &[Rule::R1, Rule::R10],
        at_least: 2,
        seeds: 4,
    },
    Control {
        name: "node-cursor",
        left_out: "the position of each session",
        scenario: moving_users,
        break_it: |plan| switch(plan, "node_cursor"),
        caught_by: &[Rule::R1, Rule::R4, Rule::R8, Rule::R10],
        at_least: 3,
        seeds: 4,
    },
];

impl Control {
    pub fn broken(&self, seed: u64) -> Plan {
        let mut plan = (self.scenario)(seed);
        (self.break_it)(&mut plan);
        plan
    }
}

pub fn by_name(name: &str) -> Option<Box<dyn Fn(u64) -> Plan + Sync>> {
    match name {
        "mixed" => Some(Box::new(Plan::mixed)),
        "quiet" => Some(Box::new(Plan::quiet)),
        name => {
            let (name, broken) = name.strip_suffix("!").map_or((name, false), |name| (name, true));
            let control = CONTROLS.iter().find(|control| control.name == name)?;
            Some(Box::new(move |seed| if broken { control.broken(seed) } else { (control.scenario)(seed) }))
        }
    }
}

pub fn names() -> Vec<&'static str> {
    ["mixed", "quiet"].into_iter().chain(CONTROLS.iter().map(|control| control.name)).collect()
}
