//! R11: a message without an answer appears at most once, and to all whose slice has its place, or to none.
//!
//! The final read is one more reader, whose slice is the whole run: what members received must be there.

use crate::{
    Rule,
    facts::{Facts, Fate, LaneFacts, NOWHERE, Seen, mark},
    findings::Findings,
    verdict::Numbers,
};

/// A place of an indeterminate message, and who got it of those who should have if anyone did.
struct Appearance {
    message: u32,
    room: usize,
    rank: u32,
    covered: u32,
    got: u32,
    /// A lane that should have got it and did not.
    without: Option<usize>,
}

pub(super) fn check(facts: &Facts<'_>, _: &mut Numbers) -> Findings {
    if !facts.offsets || !facts.promised(Rule::R11) {
        return Findings::outside(Rule::R11);
    }
    let mut findings = Findings::of(Rule::R11);
    findings.examined = facts.with_fate(Fate::Indeterminate).count() as u64;
    if findings.examined == 0 {
        return findings;
    }
    let mut appearances = appearances(facts);
    let mut seen = facts.seen();
    for (nth, lane) in facts.lanes.iter().enumerate() {
        twice(facts, nth, lane, &mut findings);
        facts.see(lane, &mut seen);
        for appearance in &mut appearances[lane.lane.room as usize] {
            count(nth, lane, &seen, appearance);
        }
    }
    for appearance in appearances.iter().flatten() {
        report(facts, appearance, &mut findings);
    }
    findings
}

/// By room.
fn appearances(facts: &Facts<'_>) -> Vec<Vec<Appearance>> {
    let of_room = |(room, places): (usize, &crate::facts::Places)| {
        let ranked = (0u32..).zip(&places.all);
        let indeterminate = ranked.filter(|(_, place)| facts.fate(place.message) == Fate::Indeterminate);
        let appearance = |(rank, place): (u32, &crate::facts::Place)| Appearance {
            message: place.message,
            room,
            rank,
            covered: 0,
            got: 0,
            without: None,
        };
        indeterminate.map(appearance).collect()
    };
    facts.places.iter().enumerate().map(of_room).collect()
}

fn count(nth: usize, lane: &LaneFacts<'_>, seen: &Seen, appearance: &mut Appearance) {
    if lane.session_covering(appearance.rank).is_none() {
        return;
    }
    appearance.covered += 1;
    if seen.has(appearance.message) {
        appearance.got += 1;
    } else {
        appearance.without.get_or_insert(nth);
    }
}

fn report(facts: &Facts<'_>, appearance: &Appearance, findings: &mut Findings) {
    let Appearance { message, room, rank, covered, got, without } = *appearance;
    let place = &facts.places[room].all[rank as usize];
    let read = facts.history.rooms[room].head.is_some();
    let vanished = read && got > 0 && !facts.stored[message as usize];
    if !vanished && (got == 0 || got == covered) {
        return;
    }
    let kind = if vanished { "vanished from the log" } else { "not for all" };
    findings.add(if vanished { 2 } else { 1 }, |rule| {
        let log = if vanished { ", and it is not in the log" } else { "" };
        let detail = format!("its sender got no answer; {got} of {covered} whose slice has its place got it{log}");
        let draft = facts.anomaly(rule, kind, detail).message(message).offset(Some(place.offset));
        match without {
            Some(lane) => {
                let lane = &facts.lanes[lane];
                let node = lane.session_covering(rank).and_then(|session| session.node);
                draft.member(lane.lane.user).node(node).done()
            }
            None => draft.done(),
        }
    });
}

fn twice(facts: &Facts<'_>, nth: usize, lane: &LaneFacts<'_>, findings: &mut Findings) {
    for (receipt, entry) in lane.lane.receipts.entry.iter().enumerate() {
        let message = facts.message_of[*entry as usize];
        let repeat = lane.marks[receipt] & mark::REPEAT != 0 && facts.rank_of[*entry as usize] != NOWHERE;
        if repeat && facts.fate(message) == Fate::Indeterminate {
            findings.add(1, |rule| {
                let detail = "its sender got no answer, and it came more than once".to_owned();
                facts.anomaly(rule, "appears twice", detail).receipt(nth, receipt).done()
            });
        }
    }
}
