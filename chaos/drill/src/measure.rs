//! What can only be told once the whole record is there: when acks came back, how long users waited.
//!
//! Pure functions of the stored record, so that judging again measures the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chaos_observe::{
    At, History,
    history::{Lane, Mark, Message},
};

use crate::schedule::{PromotionSeen, RoleSeen, Schedule};

/// From the promotion to the first ack of a message in a room of that shard; `None` when none came.
pub(crate) fn acks_back(schedule: &Schedule, history: &History, promotion: &PromotionSeen) -> Option<Duration> {
    let promoted = promotion.promoted_at?;
    let rooms = rooms_of(schedule, history, promotion.shard);
    let here = |message: u32| rooms.contains(&history.messages[message as usize].room);
    let after = history.acks.iter().filter(|ack| ack.at >= promoted && here(ack.message));
    after.map(|ack| ack.at.since(promoted)).min()
}

/// Two elections are one event when the second is won within this: a candidate has its votes by then, or never.
const AS_WELL: Duration = Duration::from_secs(2);
/// How often an engine looks whether a copy has arrived that it sends or loads (`replicationCron`).
const REPLICATION_CRON: Duration = Duration::from_secs(1);

/// Another replica that won an election of the shard beside the one that was promoted. Engines lend their votes to two
/// candidates that ask at nearly the same time; the higher epoch keeps the slots.
pub(crate) fn won_as_well<'s>(schedule: &'s Schedule, promotion: &PromotionSeen) -> Option<&'s RoleSeen> {
    let promoted = promotion.promoted_at?;
    let beside = |role: &&RoleSeen| {
        let here = role.role == "primary" && role.shard == Some(promotion.shard);
        let known = role.server == promotion.from || Some(&role.server) == promotion.to.as_ref();
        here && !known && (promoted..=promoted.plus(AS_WELL)).contains(&role.at)
    };
    schedule.roles.iter().find(beside)
}

/// What is allowed beyond the budget of acks: the loser of two elections has a history of its own, and must synchronise
/// in full before the winner has a second copy.
pub(crate) fn acks_more(schedule: &Schedule, promotion: &PromotionSeen) -> Duration {
    let (Some(other), Some(promoted)) = (won_as_well(schedule, promotion), promotion.promoted_at) else {
        return Duration::ZERO;
    };
    other.at.since(promoted) + REPLICATION_CRON
}

/// The longest time without an ack in any room of the shard, between `from` and `to`, and when it began.
pub(crate) fn longest_silence(schedule: &Schedule, history: &History, shard: u32, from: At, to: At) -> (At, Duration) {
    let rooms = rooms_of(schedule, history, shard);
    let here = |message: u32| rooms.contains(&history.messages[message as usize].room);
    let mut moments: Vec<At> = history.acks.iter().filter(|ack| here(ack.message)).map(|ack| ack.at).collect();
    moments.retain(|at| (from..=to).contains(at));
    moments.extend([from, to]);
    moments.sort_unstable();
    let gaps = moments.windows(2).map(|pair| (pair[0], pair[1].since(pair[0])));
    gaps.max_by_key(|(_, gap)| *gap).unwrap_or((from, Duration::ZERO))
}

/// The longest time without an ack in any one room, between `from` and `to`.
pub(crate) fn longest_stall(history: &History, from: At, to: At) -> Duration {
    let mut last = vec![from; history.rooms.len()];
    let mut acks: Vec<_> = history.acks.iter().filter(|ack| (from..=to).contains(&ack.at)).collect();
    acks.sort_unstable_by_key(|ack| ack.at);
    let mut longest = Duration::ZERO;
    for ack in acks {
        let room = history.messages[ack.message as usize].room as usize;
        longest = longest.max(ack.at.since(std::mem::replace(&mut last[room], ack.at)));
    }
    last.into_iter().map(|last| to.since(last)).fold(longest, Duration::max)
}

/// Whether the load has a room there: where nobody is, no ack can be missed.
pub(crate) fn has_rooms(schedule: &Schedule, shard: u32) -> bool {
    schedule.rooms.values().any(|on| *on == shard)
}

/// The rooms, as the history numbers them, whose log lies on that shard.
fn rooms_of(schedule: &Schedule, history: &History, shard: u32) -> BTreeSet<u32> {
    let on_shard = schedule.rooms.iter().filter(|(_, on)| **on == shard);
    on_shard.filter_map(|(room, _)| history.room_names.find(room)).collect()
}

/// A member that is connected and does not hear what others say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deaf {
    pub(crate) member: String,
    pub(crate) node: String,
    pub(crate) room: String,
    /// Acknowledged messages of the others in that room since `from`, and how many of them came.
    pub(crate) owed: usize,
    pub(crate) came: usize,
}

/// Fewer messages than this say nothing about a member.
const TELLING: usize = 5;

/// Members that were joined throughout and heard less than nine in ten of what was sent and acked after `from`. It is
/// a summary for people; what each of them was owed is judged by R1.
pub(crate) fn deaf(history: &History, from: At, to: At) -> Vec<Deaf> {
    let sent = |message: &Message| message.first_send.is_some_and(|send| (from..=to).contains(&send.at));
    let mut acked: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for (number, message) in history.messages.iter().enumerate() {
        if message.first_ack.is_some() && sent(message) {
            acked.entry(message.room).or_default().insert(number as u32);
        }
    }
    let lanes = history.lanes.iter().filter_map(|lane| heard(history, lane, acked.get(&lane.room)?, from, to));
    lanes.filter(|lane| lane.owed >= TELLING && lane.came * 10 < lane.owed * 9).collect()
}

fn heard(history: &History, lane: &Lane, acked: &BTreeSet<u32>, from: At, to: At) -> Option<Deaf> {
    let node = joined_throughout(lane, from, to)?;
    let of_others: BTreeSet<u32> =
        acked.iter().copied().filter(|message| history.messages[*message as usize].sender != lane.user).collect();
    let receipts = lane.receipts.entry.iter().map(|entry| history.entries[*entry as usize].message);
    let came: BTreeSet<u32> = receipts.filter(|message| of_others.contains(message)).collect();
    Some(Deaf {
        member: history.users.name(lane.user).to_owned(),
        node: history.nodes.name(node).to_owned(),
        room: history.room_names.name(lane.room).to_owned(),
        owed: of_others.len(),
        came: came.len(),
    })
}

/// The node that the member was connected to, when it joined before `from` and was never away until `to`.
fn joined_throughout(lane: &Lane, from: At, to: At) -> Option<u32> {
    let (mut node, mut joined) = (None, false);
    for mark in lane.marks.iter().filter(|mark| mark.at <= to) {
        match mark.mark {
            Mark::Up { node: up } => node = Some(up),
            Mark::JoinOk { .. } => joined = mark.at <= from,
            Mark::Leave | Mark::Down => joined = false,
            Mark::Join { .. } | Mark::LeaveOk { .. } => {}
        }
    }
    node.filter(|_| joined)
}
