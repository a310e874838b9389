//! R4: each member receives each message at most once: on the wire where the system has offsets, else as shown.

use chaos_observe::history::flag;

use crate::{
    Rule,
    facts::{Facts, mark},
    findings::Findings,
    verdict::Numbers,
};

pub(super) fn check(facts: &Facts<'_>, numbers: &mut Numbers) -> Findings {
    let mut findings = Findings::of(Rule::R4);
    for (nth, lane) in facts.lanes.iter().enumerate() {
        findings.examined += lane.lane.receipts.len() as u64;
        for (receipt, marks) in lane.marks.iter().enumerate() {
            let hidden = lane.lane.receipts.flags[receipt] & flag::HIDDEN != 0;
            if marks & mark::REPEAT == 0 || hidden && !facts.offsets {
                continue;
            }
            findings.add(if hidden { 1 } else { 2 }, |rule| {
                let shown = if hidden { "on the wire; the client hid it" } else { "and shown to the user" };
                let detail = format!("received again {shown}; the first time at {}", first(facts, nth, receipt));
                facts.anomaly(rule, "duplicate", detail).receipt(nth, receipt).done()
            });
        }
    }
    numbers.duplicates = findings.count;
    findings
}

/// When the lane received this message before, and from where.
fn first(facts: &Facts<'_>, lane: usize, receipt: usize) -> String {
    let lane = &facts.lanes[lane];
    let receipts = &lane.lane.receipts;
    let message = |receipt: usize| facts.message_of[receipts.entry[receipt] as usize];
    let first = (0..receipt).find(|before| message(*before) == message(receipt)).unwrap_or(receipt);
    let node = lane.node_at(first).map_or("no node", |node| facts.history.nodes.name(node));
    format!("{} from {node}", receipts.at[first])
}
