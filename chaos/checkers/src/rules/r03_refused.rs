//! R3: a message of which every attempt was refused reaches nobody.

use crate::{
    Rule,
    facts::{Facts, Fate},
    findings::Findings,
    verdict::Numbers,
};

pub(super) fn check(facts: &Facts<'_>, _: &mut Numbers) -> Findings {
    let mut findings = Findings::of(Rule::R3);
    findings.examined = facts.with_fate(Fate::Refused).count() as u64;
    if !facts.message_of.iter().any(|message| facts.fate(*message) == Fate::Refused) {
        return findings;
    }
    for (nth, lane) in facts.lanes.iter().enumerate() {
        for (receipt, entry) in lane.lane.receipts.entry.iter().enumerate() {
            let message = facts.message_of[*entry as usize];
            if facts.fate(message) == Fate::Refused {
                findings.add(1, |rule| {
                    let refused = facts.message(message).refused;
                    let detail = format!("received, although its sender was refused ({refused} of {refused} attempts)");
                    facts.anomaly(rule, "refused but delivered", detail).receipt(nth, receipt).done()
                });
            }
        }
    }
    findings
}
