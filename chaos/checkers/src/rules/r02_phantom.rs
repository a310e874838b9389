//! R2: what was received, or is in the log, was sent by someone.

use crate::{
    Rule,
    facts::{Facts, Fate},
    findings::Findings,
    verdict::Numbers,
};

pub(super) fn check(facts: &Facts<'_>, _: &mut Numbers) -> Findings {
    let mut findings = Findings::of(Rule::R2);
    let sent = |entry: u32| facts.fate(facts.message_of[entry as usize]) != Fate::NotSent;
    findings.examined = facts.history.receipts();
    let phantoms = (0..facts.message_of.len() as u32).any(|entry| !sent(entry));
    for (nth, lane) in facts.lanes.iter().enumerate().filter(|_| phantoms) {
        for (receipt, entry) in lane.lane.receipts.entry.iter().enumerate() {
            if !sent(*entry) {
                let detail = "received, and nobody sent it".to_owned();
                findings.add(2, |rule| facts.anomaly(rule, "phantom", detail).receipt(nth, receipt).done());
            }
        }
    }
    for (number, room) in (0u32..).zip(&facts.history.rooms) {
        findings.examined += room.finals.len() as u64;
        for read in room.finals.iter().filter(|read| !sent(read.entry)) {
            let entry = &facts.history.entries[read.entry as usize];
            let detail = "in the log, and nobody sent it".to_owned();
            findings.add(1, |rule| {
                let draft = facts.anomaly(rule, "phantom in the log", detail).message(entry.message).room(number);
                draft.sender(entry.sender).offset(entry.offset).at(read.at).done()
            });
        }
    }
    findings
}
