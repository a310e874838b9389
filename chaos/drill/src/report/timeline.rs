//! The run on one axis: who was primary of which shard, when faults were on, and what users got in each moment.

use std::time::Duration;

use chaos_observe::{At, History};

use super::{
    strip::{Axis, sparkline},
    table::thousands,
};
use crate::schedule::Schedule;

/// Columns of the label in front of each strip.
const LABEL: usize = 26;

pub(crate) fn timeline(schedule: &Schedule, history: &History) -> String {
    let from = schedule.load_began.unwrap_or_default();
    let axis = Axis::over(history.end.since(from).max(Duration::from_secs(1)));
    let since = |at: At| at.since(from);
    let mut lines = vec![label("seconds", &axis.ruler())];
    for fault in &schedule.faults {
        let off = fault.off.unwrap_or(history.end);
        let name = format!("{} {}", fault.kind, fault.target);
        lines.push(label(&name, &axis.bar(since(fault.on), since(off), '▬')));
    }
    lines.extend(roles(schedule, axis, from));
    let acks = history.acks.iter().map(|ack| since(ack.at));
    lines.push(rate("acks", axis, acks));
    let receipts = history.lanes.iter().flat_map(|lane| &lane.receipts.at);
    lines.push(rate("deliveries", axis, receipts.map(|at| since(*at))));
    let cell = axis.cell().as_millis();
    format!("Timeline, {cell} ms a cell; a shard shows its primary (3 is redis-3, · nobody)\n{}", lines.concat())
}

fn label(name: &str, strip: &str) -> String {
    let name: String = name.chars().take(LABEL).collect();
    format!("  {name:LABEL$} {}\n", strip.trim_end())
}

fn rate(name: &str, axis: Axis, moments: impl Iterator<Item = Duration>) -> String {
    let counts = axis.count(moments);
    let per_second = |count: u64| (count as f64 / axis.cell().as_secs_f64()).round() as u64;
    let highest = counts.iter().copied().max().unwrap_or(0);
    let strip = sparkline(&counts);
    format!("  {:LABEL$} {strip}  at most {}/s\n", format!("{name}/s"), thousands(per_second(highest)))
}

/// One strip a shard: the number of its primary, `·` while the primary is down or unknown.
fn roles(schedule: &Schedule, axis: Axis, from: At) -> Vec<String> {
    let mut shards: Vec<u32> = schedule.roles.iter().filter_map(|role| role.shard).collect();
    shards.sort_unstable();
    shards.dedup();
    shards
        .iter()
        .map(|shard| label(&format!("shard {shard}"), &axis.letters(&primaries(schedule, *shard, from))))
        .collect()
}

/// When the primary of `shard` became somebody else, as letters. A primary with an older epoch is one that was replaced
/// and does not know it yet.
fn primaries(schedule: &Schedule, shard: u32, from: At) -> Vec<(Duration, char)> {
    let mut primary: Option<&str> = None;
    let mut epoch = 0;
    let mut changes = Vec::new();
    for seen in schedule.roles.iter().filter(|seen| seen.shard == Some(shard)) {
        let is_primary = primary == Some(seen.server.as_str());
        match seen.role.as_str() {
            "primary" if seen.epoch >= epoch => (primary, epoch) = (Some(seen.server.as_str()), seen.epoch),
            "primary" => continue,
            _ if is_primary => primary = None,
            _ => continue,
        }
        changes.push((seen.at.since(from), primary.map_or('·', letter)));
    }
    changes
}

/// `redis-3` as `3`, `redis-12` as `c`.
fn letter(server: &str) -> char {
    let number = server.rsplit('-').next().and_then(|number| number.parse().ok());
    number.and_then(|number: u32| char::from_digit(number, 36)).unwrap_or('?')
}
