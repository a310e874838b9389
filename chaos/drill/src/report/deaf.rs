//! Who was deaf: nodes that heard nothing of one another for a while, and members whose connection was healthy and who
//! heard little of what was acknowledged to others after the last heal.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

use chaos_observe::History;

use super::faults::seconds;
use crate::{
    deafness::{self, Deafness},
    measure::{self, Deaf},
    schedule::Schedule,
};

/// Members named one by one; the rest is counted.
const NAMED: usize = 6;

/// After the last heal, until no more was sent.
pub(crate) fn members(schedule: &Schedule, history: &History) -> Vec<Deaf> {
    let offs = schedule.faults.iter().map(|fault| fault.off.unwrap_or(fault.on));
    let Some(from) = offs.max() else { return Vec::new() };
    measure::deaf(history, from, schedule.load_ended.unwrap_or(history.end))
}

/// While the load went on, the longest first.
pub(crate) fn nodes(schedule: &Schedule, history: &History) -> Vec<Deafness> {
    let from = schedule.load_began.unwrap_or_default();
    deafness::deafness(history, from, schedule.load_ended.unwrap_or(history.end))
}

/// `12.34 s, until the load ended`
pub(crate) fn lasted(deafness: &Deafness) -> String {
    format!("{}{}", seconds(deafness.took), if deafness.to.is_none() { ", until the load ended" } else { "" })
}

/// Empty when everyone heard.
pub(crate) fn deaf(schedule: &Schedule, history: &History) -> String {
    let mut text = of_nodes(schedule, &nodes(schedule, history));
    text.push_str(&of_members(members(schedule, history)));
    text
}

fn of_nodes(schedule: &Schedule, found: &[Deafness]) -> String {
    let from = schedule.load_began.unwrap_or_default();
    let mut pairs: BTreeMap<(&str, &str), Vec<&Deafness>> = BTreeMap::new();
    for deafness in found {
        pairs.entry((&deafness.listener, &deafness.speaker)).or_default().push(deafness);
    }
    if pairs.is_empty() {
        return String::new();
    }
    let mut text = "Deaf between nodes: nobody there heard what was acknowledged here\n".to_owned();
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort_by_key(|(_, ways)| std::cmp::Reverse(ways.first().map_or(Duration::ZERO, |way| way.took)));
    for ((listener, speaker), ways) in pairs {
        let rooms: BTreeSet<_> = ways.iter().map(|way| way.room.as_str()).collect();
        let (longest, unheard) = (ways[0], ways.iter().map(|way| way.unheard).sum::<usize>());
        let _ = writeln!(
            text,
            "  {listener} to {speaker}: {} from {} on, in {} room{}, {unheard} messages",
            lasted(longest),
            seconds(longest.from.since(from)),
            rooms.len(),
            if rooms.len() == 1 { "" } else { "s" }
        );
    }
    text
}

fn of_members(mut members: Vec<Deaf>) -> String {
    if members.is_empty() {
        return String::new();
    }
    members.sort_by_key(|member| member.came * 1000 / member.owed);
    let mut by_node: BTreeMap<&str, Vec<&Deaf>> = BTreeMap::new();
    for member in &members {
        by_node.entry(&member.node).or_default().push(member);
    }
    let mut text = format!("Deaf after the last heal, on healthy connections: {} memberships\n", members.len());
    for (node, members) in by_node {
        let _ = writeln!(text, "  {node}: {} of its memberships", members.len());
        for Deaf { member, room, owed, came, .. } in members.iter().take(NAMED) {
            let _ = writeln!(text, "    {member} in {room} heard {came} of {owed} acknowledged messages of others");
        }
        if members.len() > NAMED {
            let _ = writeln!(text, "    and {} more", members.len() - NAMED);
        }
    }
    text
}
