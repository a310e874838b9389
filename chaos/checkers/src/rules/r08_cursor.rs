//! R8: a member's cursor never goes back or skips. A message that it had not seen, at or below the cursor, is late, not a
//! duplicate.

use crate::{
    Rule,
    facts::{Facts, LaneFacts, NOWHERE, Places, Seen, Session, mark},
    findings::Findings,
    verdict::Numbers,
};

pub(super) fn check(facts: &Facts<'_>, _: &mut Numbers) -> Findings {
    if !facts.offsets || !facts.promised(Rule::R8) {
        return Findings::outside(Rule::R8);
    }
    let mut findings = Findings::of(Rule::R8);
    let mut seen = facts.seen();
    for (nth, lane) in facts.lanes.iter().enumerate() {
        seen.forget();
        let walk = Walk { facts, nth, lane, places: &facts.places[lane.lane.room as usize] };
        for session in &lane.sessions {
            walk.joined(session, &mut findings);
            walk.session(session, &mut seen, &mut findings);
        }
    }
    findings
}

struct Walk<'f, 'h> {
    facts: &'f Facts<'h>,
    nth: usize,
    lane: &'f LaneFacts<'h>,
    places: &'f Places,
}

impl Walk<'_, '_> {
    /// The node answers a resumption with a position before the asked one.
    fn joined(&self, session: &Session, findings: &mut Findings) {
        let (Some(asked), Some(start), true) = (session.asked, session.start, session.recovered) else { return };
        if start < asked {
            findings.add(3, |rule| {
                let detail = format!("resumed from {asked}, and the node goes on from there");
                let draft = self.facts.anomaly(rule, "cursor back", detail).room(self.lane.lane.room);
                let draft = draft.member(self.lane.lane.user).node(session.node);
                draft.offset(Some(start)).at(session.joined_at).done()
            });
        }
    }

    fn session(&self, session: &Session, seen: &mut Seen, findings: &mut Findings) {
        // The rank that the next receipt should not be below.
        let mut next = session.low;
        for receipt in session.from..session.to {
            let entry = self.lane.lane.receipts.entry[receipt] as usize;
            let (message, rank) = (self.facts.message_of[entry], self.facts.rank_of[entry]);
            if rank == NOWHERE || self.lane.marks[receipt] & mark::REPEAT != 0 {
                continue;
            }
            findings.examined += 1;
            seen.insert(message);
            if rank < next {
                self.back(receipt, next, findings);
                continue;
            }
            if self.places.stored_in(next, rank) > 0 {
                self.skipped(receipt, next, rank, seen, findings);
            }
            next = rank + 1;
        }
    }

    fn back(&self, receipt: usize, next: u32, findings: &mut Findings) {
        let cursor = next.checked_sub(1).and_then(|last| self.places.all.get(last as usize));
        let cursor = cursor.map_or(String::new(), |place| format!(", after {}", place.offset));
        findings.add(2, |rule| {
            let detail = format!("came late{cursor}");
            self.facts.anomaly(rule, "cursor back", detail).receipt(self.nth, receipt).done()
        });
    }

    fn skipped(&self, receipt: usize, next: u32, rank: u32, seen: &Seen, findings: &mut Findings) {
        let between = self.places.range(next, rank).iter();
        let unseen: Vec<_> = between.filter(|place| place.stored && !seen.has(place.message)).collect();
        let Some(first) = unseen.first() else { return };
        findings.add(1, |rule| {
            let name = self.facts.history.message_names.name(first.message);
            let detail = format!("came before {} that precede it, the first {name} at {}", unseen.len(), first.offset);
            self.facts.anomaly(rule, "skip", detail).receipt(self.nth, receipt).done()
        });
    }
}
