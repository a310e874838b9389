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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Nothing of this sender came before.
    First,
    InOrder,
    /// This message came before, and was sent after the ack.
    After(u32),
}

struct Senders(Vec<Latest>);

impl Senders {
    /// The next message in a lane.
    #[inline]
    fn see(&mut self, facts: &Facts<'_>, lane: u32, message: u32) -> Seen {
        let sent = facts.message(message);
        let (latest, Some(first_send)) = (&mut self.0[sent.sender as usize], sent.first_send) else {
            return Seen::First;
        };
        let first_send = first_send.nth;
        let before = (latest.lane == lane).then_some(*latest);
        if before.is_none_or(|before| before.sent < first_send) {
            *latest = Latest { lane, sent: first_send, message };
        }
        match before {
            None => Seen::First,
            Some(before) if sent.first_ack.is_some_and(|acked| acked.nth < before.sent) => Seen::After(before.message),
            Some(_) => Seen::InOrder,
        }
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
            let seen = senders.see(facts, nth as u32 + 1, message);
            findings.examined += u64::from(seen != Seen::First);
            if let Seen::After(first) = seen {
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
    let mut read_before = facts.seen();
    for (number, room) in (0u32..).zip(&facts.history.rooms) {
        read_before.forget();
        for read in &room.finals {
            let entry = &facts.history.entries[read.entry as usize];
            if !read_before.insert(entry.message) || facts.message(entry.message).room != number {
                continue;
            }
            let lane = facts.lanes.len() as u32 + number + 1;
            let seen = senders.see(facts, lane, entry.message);
            findings.examined += u64::from(seen != Seen::First);
            if let Seen::After(first) = seen {
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
