//! R10: who resumes gets the gap, once, in order, before anything newer; and is told `recovered: false` only when
//! history that it missed is no longer held.

use std::time::Duration;

use chaos_observe::At;

use crate::{
    Rule,
    facts::{Facts, LaneFacts, NOWHERE, Places, Session, mark},
    findings::Findings,
    verdict::Numbers,
};

pub(super) fn check(facts: &Facts<'_>, _: &mut Numbers) -> Findings {
    if !facts.offsets || !facts.promised(Rule::R10) {
        return Findings::outside(Rule::R10);
    }
    let mut findings = Findings::of(Rule::R10);
    let mut seen = facts.seen();
    for (nth, lane) in facts.lanes.iter().enumerate() {
        let resumes = lane.sessions.iter().filter(|session| session.asked.is_some()).count();
        if resumes == 0 {
            continue;
        }
        findings.examined += resumes as u64;
        facts.see(lane, &mut seen);
        let gaps = Gaps { facts, nth, lane, places: &facts.places[lane.lane.room as usize] };
        for session in &lane.sessions {
            if session.resumes() {
                gaps.missing(session, |message| seen.has(message), &mut findings);
                gaps.order(session, &mut findings);
            } else {
                gaps.not_recovered(session, &mut findings);
            }
        }
    }
    findings
}

struct Gaps<'f, 'h> {
    facts: &'f Facts<'h>,
    nth: usize,
    lane: &'f LaneFacts<'h>,
    places: &'f Places,
}

impl Gaps<'_, '_> {
    /// Where the gap ends, as a rank.
    fn end(&self, session: &Session) -> u32 {
        session.head.or(session.start).map_or(session.low, |head| self.places.after(head))
    }

    fn missing(&self, session: &Session, seen: impl Fn(u32) -> bool, findings: &mut Findings) {
        // A connection that was lost again owes what is above its last receipt to the next session.
        let end = self.end(session).min(session.high);
        for place in self.places.range(session.low, end).iter().filter(|place| place.stored && !seen(place.message)) {
            findings.add(3, |rule| {
                let detail = format!("missed while away, and not replayed on return at {}", session.joined_at);
                let draft = self.facts.anomaly(rule, "gap loss", detail).message(place.message);
                draft.member(self.lane.lane.user).node(session.node).offset(Some(place.offset)).done()
            });
        }
    }

    fn order(&self, session: &Session, findings: &mut Findings) {
        let end = self.end(session);
        let mut next = session.low;
        for receipt in session.from..session.to {
            let rank = self.facts.rank_of[self.lane.lane.receipts.entry[receipt] as usize];
            if rank == NOWHERE {
                continue;
            }
            let repeat = self.lane.marks[receipt] & mark::REPEAT != 0;
            let wrong = match () {
                () if rank < end && repeat => Some((2, "replay duplicate", "had been received before")),
                () if rank < next && next > end && rank < end => Some((2, "gap after newer", "came after newer ones")),
                () if rank < next && rank < end => Some((1, "gap out of order", "came out of order")),
                () => None,
            };
            next = next.max(rank + 1);
            if let Some((severity, kind, how)) = wrong {
                findings.add(severity, |rule| {
                    let detail = format!("of the gap that was replayed on return at {}; it {how}", session.joined_at);
                    self.facts.anomaly(rule, kind, detail).receipt(self.nth, receipt).done()
                });
            }
        }
    }

    /// The entry that a client asks for goes only when one behind it is older than the history window. No entry is older
    /// than its message.
    fn is_young(&self, from: u32, end: u32, at: At) -> bool {
        let first = self.places.range(from, end).iter().find(|place| place.stored);
        let sent = first.and_then(|place| self.facts.message(place.message).first_send);
        let window = Duration::from_millis(self.facts.question.history_window_ms);
        sent.is_some_and(|sent| at.since(sent.at) < window)
    }

    fn not_recovered(&self, session: &Session, findings: &mut Findings) {
        let Some(asked) = session.asked else { return };
        let (from, end) = (self.places.after(asked), self.end(session).max(self.places.after(asked)));
        let missed = self.places.stored_in(from, end);
        let run_ms = self.facts.history.end.0 / 1000;
        let window_ms = self.facts.question.history_window_ms;
        let why = match () {
            () if missed == 0 => "nothing was missed".to_owned(),
            () if run_ms < window_ms => format!("{missed} were missed, but the run is shorter than the history window"),
            () if self.is_young(from, end, session.joined_at) => {
                format!("{missed} were missed, but the first of them is younger than the history window")
            }
            () => return,
        };
        findings.add(2, |rule| {
            let detail = format!("resumed from {asked} and was told `recovered: false`: {why}");
            let draft = self.facts.anomaly(rule, "false recovered", detail).room(self.lane.lane.room);
            let draft = draft.member(self.lane.lane.user).node(session.node);
            draft.offset(Some(asked)).at(session.joined_at).done()
        });
    }
}
