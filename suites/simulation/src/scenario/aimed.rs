//! Worlds in which one hole of the protocol would show, for each seed a little different.

use crate::chance::Chance;
use crate::model::slot::SLOTS;
use crate::world::fault::{Fault, Planned, Way};
use crate::world::inject::slot_of_room;
use crate::world::plan::{Plan, room};

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

/// Nothing goes wrong.
pub(super) fn calm(seed: u64) -> Plan {
    let (mut plan, _) = aimed(seed);
    plan.chat_ms = 5000;
    plan
}

/// Replication of one shard is late, then its primary dies.
pub(super) fn late_then_dead(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let ms = chance.between(100, 300);
    plan.faults =
        vec![fault(1000, chance.between(1500, 2500), Fault::LagThenKill { shard: busy_shard(&plan, &mut chance), ms })];
    plan
}

/// Links stall, the nodes' connections break so that everything is sent again, then the primary dies.
pub(super) fn sent_again_then_dead(seed: u64) -> Plan {
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
pub(super) fn broken_connections(seed: u64) -> Plan {
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
pub(super) fn stale_primary(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let shard = busy_shard(&plan, &mut chance);
    plan.faults = vec![
        fault(2000, chance.between(1800, 2600), Fault::StallThenKill { shard }),
        fault(8000, chance.between(2500, 3500), Fault::CutOffPrimary { shard, with: 0, way: Way::Both, reset: false }),
    ];
    plan
}

/// A primary is cut off together with one of its two replicas, the connections to the rest reset.
pub(super) fn minority_with_a_replica(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let shard = busy_shard(&plan, &mut chance);
    plan.faults = vec![fault(2000, 5000, Fault::CutOffPrimary { shard, with: 1, way: Way::Both, reset: true })];
    plan
}

/// One replica is cut off from the bus alone and goes on replicating; the other, which can be elected, gets nothing for
/// a moment; then the primary dies.
pub(super) fn stand_in_replica(seed: u64) -> Plan {
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

/// A replica's bus is cut until all flag it as failed; its primary still does so when the others have taken that back, and
/// one chat node, which reaches only that primary by then, last heard that all of them do. Then the primary is cut off with
/// the other replica.
pub(super) fn flagged_once(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let shard = busy_shard(&plan, &mut chance);
    let cut = 6500 + chance.between(0, 500);
    plan.faults = vec![
        fault(2000, 3000, Fault::CutReplicaBus { shard, nth: 1 }),
        fault(4500, 5500, Fault::CutBus { shard, nth: 1 }),
        fault(4900, 5000, Fault::IsolateNode { node: 1, but: Some(shard) }),
        fault(cut, 4000, Fault::CutOffPrimary { shard, with: 1, way: Way::Both, reset: true }),
    ];
    plan
}

/// One chat node reaches only a primary, which is then cut off with one of its replicas.
pub(super) fn alone_with_a_minority(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let shard = busy_shard(&plan, &mut chance);
    let cut = 4500 + chance.between(0, 500);
    plan.faults = vec![
        fault(2500, 6000, Fault::IsolateNode { node: 1, but: Some(shard) }),
        fault(cut, 4000, Fault::CutOffPrimary { shard, with: 1, way: Way::Both, reset: true }),
    ];
    plan
}

/// Without append-only files a primary dies and comes back as an empty replica, which its successor cannot fill; then that
/// one dies too, and the replica that holds everything gets no votes the first time.
pub(super) fn back_and_empty(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let shard = busy_shard(&plan, &mut chance);
    let dies = 10_000 + chance.between(0, 500);
    plan.chat_ms = 14_000;
    plan.redis.persisted = false;
    plan.faults = vec![
        // So that the first replica is the successor.
        fault(3000, 4500, Fault::PauseReplica { shard, nth: 1 }),
        fault(3400, dies - 3000, Fault::CutReplica { shard, nth: 0, way: Way::Both }),
        fault(3500, 500, Fault::KillPrimary { shard, machine: false }),
        // The first is the one that came back; the second holds everything.
        fault(dies - 100, 4000, Fault::SpoilElections { shard, nth: Some(1) }),
        fault(dies, 500, Fault::KillPrimary { shard, machine: false }),
    ];
    plan
}

/// The log trims itself and refuses what is too much, over a failover and while nodes are behind; users are away for less
/// than the log keeps.
pub(super) fn trimmed_in_a_failover(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let shard = busy_shard(&plan, &mut chance);
    plan.trims_itself(5000);
    plan.chat_ms = 14_000;
    plan.manners.pace = (150, 500);
    (plan.manners.moves, plan.manners.away) = (8, (200, 1500));
    let dies = 7000 + chance.between(0, 1000);
    plan.faults = vec![fault(dies, 500, Fault::KillPrimary { shard, machine: chance.percent(50) })];
    plan.faults.extend((0..4).map(|nth| {
        let cut = Fault::CutNode { node: nth % 2, shard, way: Way::Both };
        fault(6000 + 2000 * nth as u64, chance.between(500, 1500), cut)
    }));
    plan
}

/// One replica is away for long; while it comes back, the other gets nothing; then both the primary and the one that came
/// back die.
pub(super) fn late_comer(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let shard = busy_shard(&plan, &mut chance);
    let back = chance.between(5000, 6000);
    let dies = back + chance.between(350, 550);
    plan.faults = vec![
        fault(2000, back - 2000, Fault::KillReplica { shard, nth: 1, machine: false }),
        fault(back - 300, dies - back + 350, Fault::CutReplica { shard, nth: 0, way: Way::In }),
        fault(dies, 500, Fault::KillPrimary { shard, machine: false }),
        fault(dies, 4000, Fault::KillReplica { shard, nth: 1, machine: false }),
    ];
    plan
}

/// A primary hangs, is replaced, and wakes where it hears of nobody; one chat node reaches only it meanwhile.
pub(super) fn alone_with_the_old_primary(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let shard = busy_shard(&plan, &mut chance);
    let at = chance.between(2000, 4000);
    plan.faults = vec![
        fault(at, 6000, Fault::CutOffPrimary { shard, with: 0, way: Way::Both, reset: false }),
        fault(at, 5000, Fault::IsolateNode { node: 1, but: Some(shard) }),
        fault(at, chance.between(3000, 4000), Fault::PausePrimary { shard }),
    ];
    plan
}

/// All clocks of a shard are behind, so that ids count up by one from the last. Replication stops, and when everybody waits
/// for an ack the nodes' connections break, so that the primary holds a message of each, chat-2's first. Then it is cut off
/// with chat-2, and its successor gives the same ids to what chat-1 has. A setting lets the old one answer reads.
pub(super) fn one_id_twice(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let shard = busy_shard(&plan, &mut chance);
    let (cut, heard) = (9000, chance.between(11_800, 12_500));
    let behind = |at, nth| fault(at, 0, Fault::ClockBehind { shard, nth, ms: -60_000 });
    let stop = |nth| fault(cut - 4500, 10_000, Fault::CutReplica { shard, nth, way: Way::Both });
    plan.chat_ms = 15_000;
    (plan.rooms, plan.rooms_per_client) = (12, 6);
    plan.manners.pace = (2000, 4000);
    plan.redis.reads_when_down = true;
    plan.faults = vec![
        behind(0, 0),
        behind(0, 1),
        fault(1500, 500, Fault::KillPrimary { shard, machine: false }),
        stop(0),
        stop(1),
        fault(cut - 900, 0, Fault::ResetNode { node: 1, shard }),
        fault(cut - 500, 0, Fault::ResetNode { node: 0, shard }),
        behind(cut - 500, 0),
        behind(cut - 500, 1),
        fault(cut, 5500, Fault::CutOffPrimary { shard, with: 0, way: Way::Both, reset: false }),
        fault(cut, heard - cut, Fault::IsolateNode { node: 1, but: Some(shard) }),
    ];
    plan
}

/// A node hears nothing of a shard for a while, in which the shard's rooms are trimmed.
pub(super) fn trimmed_meanwhile(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    let (shard, node) = (busy_shard(&plan, &mut chance), chance.index(2));
    let rooms: Vec<_> = (0..plan.rooms).filter(|room| shard_of(&plan, *room) == shard).collect();
    for nth in 0..3 {
        let (at, lasts) = (2000 + nth * 3000, chance.between(1200, 2000));
        plan.faults.push(fault(at, lasts, Fault::CutNode { node, shard, way: Way::Both }));
        plan.faults.extend(rooms.iter().map(|room| fault(at + lasts - 100, 0, Fault::Trim { room: *room })));
    }
    plan
}

/// A primary dies and is there again before anybody noticed.
pub(super) fn back_too_soon(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    plan.faults = vec![fault(5000, 200, Fault::FastRestart { shard: busy_shard(&plan, &mut chance) })];
    plan
}

/// A node hears nothing of a shard while the last things are said there, and its connections are new afterwards.
pub(super) fn deaf(seed: u64) -> Plan {
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
pub(super) fn moving_users(seed: u64) -> Plan {
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
pub(super) fn trimmed(seed: u64) -> Plan {
    let (mut plan, mut chance) = aimed(seed);
    (plan.manners.moves, plan.manners.away) = (12, (500, 2500));
    plan.faults =
        (0..12).map(|_| fault(chance.between(1500, 11_000), 0, Fault::Trim { room: chance.index(4) })).collect();
    plan
}
