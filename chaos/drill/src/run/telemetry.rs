//! Are the spans there that should be? A verdict that is explained with traces must know when traces are missing.
//!
//! Of every acknowledged message whose trace was kept, the node that acked it must have told of it. What a killed node
//! could still hold is counted apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chaos_observe::{At, History, SpanStore, history::Mark};
use chaos_workload::Sampling;

use crate::schedule::FaultSeen;

/// A node exports at most so late (100 ms of schedule, and the machine's own slowness).
const EXPORT_DELAY: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) missing: u64,
    pub(crate) excused: u64,
}

pub(crate) fn missing(history: &History, spans: &SpanStore, sampling: Sampling, faults: &[FaultSeen]) -> Missing {
    let accepted: BTreeSet<String> =
        spans.named("chat.accept").iter().filter_map(|span| span.text("message.id").map(str::to_owned)).collect();
    let connections = connections(history);
    let mut result = Missing::default();
    for (number, message) in history.messages.iter().enumerate() {
        let Some(ack) = message.first_ack else { continue };
        let name = history.message_names.name(number as u32);
        if !sampling.sends(name) || accepted.contains(name) {
            continue;
        }
        let node = connections.get(&message.sender).and_then(|ups| node_at(history, ups, ack.at));
        if node.is_some_and(|node| killed(faults, node, ack.at)) {
            result.excused += 1;
        } else {
            result.missing += 1;
        }
    }
    result
}

/// Each user's connections, by time.
fn connections(history: &History) -> BTreeMap<u32, Vec<(At, u32)>> {
    let mut connections: BTreeMap<u32, Vec<(At, u32)>> = BTreeMap::new();
    for lane in &history.lanes {
        let ups = lane.marks.iter().filter_map(|mark| match mark.mark {
            Mark::Up { node } => Some((mark.at, node)),
            _ => None,
        });
        connections.entry(lane.user).or_default().extend(ups);
    }
    connections
}

fn node_at<'h>(history: &'h History, ups: &[(At, u32)], at: At) -> Option<&'h str> {
    let up = ups.iter().filter(|(up, _)| *up <= at).max_by_key(|(up, _)| *up)?;
    Some(history.nodes.name(up.1))
}

/// Whether a fault hit the node before it could export what it did at `at`.
fn killed(faults: &[FaultSeen], node: &str, at: At) -> bool {
    let hit = |fault: &&FaultSeen| fault.target.split(", ").any(|target| target == node);
    faults.iter().filter(hit).any(|fault| at <= fault.on && fault.on <= at.plus(EXPORT_DELAY))
}
