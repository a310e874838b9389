//! R6: when a sender had the ack of `a` before it sent `b`, to the same room, nobody sees `b` first.

use crate::{
    Rule,
    facts::{Facts, mark},
    findings::Findings,
    verdict::Numbers,
};

/// Per sender: of the messages seen so far, the one whose first attempt was the latest.
#[derive(Clone, Copy, Default)]
struct Latest {
    lane: u32,
    sent: u64,
    message: u32,
}

struct Senders(Vec<Latest>);

impl Senders {
    /// The next message in a lane; the message that should have come later but came before, if there is one.
    /// `None` when nothing of this sender was seen before.
    #[inline]
    fn see(&mut self, facts: &Facts<'_>, lane: u32, message: u32) -> Option<Option<u32>> {
        let sent = facts.message(message);
        let (latest, first_send) = (&mut self.0[sent.sender as usize], sent.first_send?.nth);
        let before = (latest.lane == lane).then_some(*latest);
        if before.is_none_or(|before| before.sent < first_send) {
            *latest = Latest { lane, sent: first_send, message };
        }
        let before = before?;
        let inverted = sent.first_ack.is_some_and(|acked| acked.nth < before.sent);
        Some(inverted.then_some(before.message))
    }
}

pub(super) fn check(facts: &Facts<'_>, _: &mut Numbers) -> Findings {
    let mut findings = Findings::of(Rule::R6);
    let mut senders = Senders(vec![Latest::default(); facts.history.users.len()]);
    for (nth, lane) in facts.lanes.iter().enumerate() {
        for (receipt, (entry, marks)) in lane.lane.receipts.entry.iter().zip(&lane.marks).enumerate() {
            let message = facts.message_of[*entry as usize];
            if marks & mark::REPEAT != 0 || facts.message(message).room != lane.lane.room {
                continue;
            }
            let Some(seen) = senders.see(facts, nth as u32 + 1, message) else { continue };
            findings.examined += 1;
            if let Some(first) = seen {
                findings.add(2, |rule| {
                    let detail = format!("received after {}, which was sent after its ack", name(facts, first));
                    facts.anomaly(rule, "inversion", detail).receipt(nth, receipt).done()
                });
            }
        }
    }
    in_the_log(facts, &mut senders, &mut findings);
    findings
}

fn in_the_log(facts: &Facts<'_>, senders: &mut Senders, findings: &mut Findings) {
    for (number, room) in (0u32..).zip(&facts.history.rooms) {
        let mut seen = facts.seen();
        for read in &room.finals {
            let entry = &facts.history.entries[read.entry as usize];
            if !seen.insert(entry.message) || facts.message(entry.message).room != number {
                continue;
            }
            let lane = facts.lanes.len() as u32 + number + 1;
            if let Some(Some(first)) = senders.see(facts, lane, entry.message) {
                findings.add(1, |rule| {
                    let detail = format!("in the log after {}, which was sent after its ack", name(facts, first));
                    let draft = facts.anomaly(rule, "inversion in the log", detail).message(entry.message);
                    draft.offset(entry.offset).at(read.at).done()
                });
            }
        }
    }
}

fn name<'h>(facts: &Facts<'h>, message: u32) -> &'h str {
    facts.history.message_names.name(message)
}
