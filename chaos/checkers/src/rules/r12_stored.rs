//! R12: what was acknowledged is in the log at the end of the run, after every promotion.

use crate::{
    Rule,
    facts::{Facts, Fate},
    findings::Findings,
    verdict::Numbers,
};

pub(super) fn check(facts: &Facts<'_>, _: &mut Numbers) -> Findings {
    if !facts.offsets || !facts.promised(Rule::R12) {
        return Findings::outside(Rule::R12);
    }
    let mut findings = Findings::of(Rule::R12);
    let mut lost = Vec::new();
    for message in facts.with_fate(Fate::Acked) {
        if facts.history.rooms[facts.message(message).room as usize].head.is_some() {
            findings.examined += 1;
            if !facts.stored[message as usize] {
                lost.push(message);
            }
        }
    }
    report(facts, &lost, &mut findings);
    let unread = facts.unread_rooms();
    if !unread.is_empty() {
        findings.unknown = Some(format!("no final read of {}", unread.join(", ")));
    }
    findings
}

fn report(facts: &Facts<'_>, lost: &[u32], findings: &mut Findings) {
    if lost.is_empty() {
        return;
    }
    let mut received = vec![0u32; facts.history.messages.len()];
    for lane in &facts.lanes {
        lane.lane.receipts.entry.iter().for_each(|entry| received[facts.message_of[*entry as usize] as usize] += 1);
    }
    let mut offsets = vec![None; facts.history.messages.len()];
    for ack in &facts.history.acks {
        offsets[ack.message as usize] = ack.offset;
    }
    for message in lost {
        let times = received[*message as usize];
        findings.add(if times == 0 { 2 } else { 1 }, |rule| {
            let who =
                if times == 0 { "nobody received it either".to_owned() } else { format!("received {times} times") };
            let detail = format!("acknowledged, and not in the log at the end; {who}");
            let draft = facts.anomaly(rule, "lost from the log", detail).message(*message);
            draft.offset(offsets[*message as usize]).done()
        });
    }
}
