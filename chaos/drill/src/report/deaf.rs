//! Who stayed deaf: members whose connection was healthy and who heard little of what was acknowledged to others.

use std::{collections::BTreeMap, fmt::Write as _};

use chaos_observe::History;

use crate::{
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

/// Empty when everyone heard.
pub(crate) fn deaf(schedule: &Schedule, history: &History) -> String {
    let mut members = members(schedule, history);
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
