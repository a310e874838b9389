//! R9: nothing reaches a member from outside its membership.
//!
//! With offsets: nothing outside its slices, and nothing while it is not joined. Without: nothing that was sent after
//! the answer to its leave and before its next join. (A message that was sent before the join and may have been
//! delivered after it is no leak: its whole [send, ack] must lie in between, or its receipt.)

use chaos_observe::At;

use crate::{
    Rule,
    facts::{End, Facts, Fate, LaneFacts, NOWHERE, Session, mark},
    findings::Findings,
    verdict::Numbers,
};

pub(super) fn check(facts: &Facts<'_>, _: &mut Numbers) -> Findings {
    let mut findings = Findings::of(Rule::R9);
    let spans = if facts.offsets { Vec::new() } else { spans(facts) };
    for (nth, lane) in facts.lanes.iter().enumerate() {
        if facts.offsets {
            findings.examined += opportunities(facts, lane);
            outside_joined(facts, nth, lane, &mut findings);
            outside_slices(facts, nth, lane, &mut findings);
        } else {
            between_memberships(facts, nth, lane, &spans, &mut findings);
        }
    }
    findings
}

/// Known places of the room that are in none of the member's slices.
fn opportunities(facts: &Facts<'_>, lane: &LaneFacts<'_>) -> u64 {
    let inside: u64 = lane.sessions.iter().map(|session| u64::from(session.high - session.low)).sum();
    u64::from(facts.places[lane.lane.room as usize].len()).saturating_sub(inside)
}

fn outside_joined(facts: &Facts<'_>, nth: usize, lane: &LaneFacts<'_>, findings: &mut Findings) {
    for (receipt, _) in lane.marks.iter().enumerate().filter(|(_, marks)| *marks & mark::MEMBER == 0) {
        findings.add(2, |rule| {
            let detail = "received while not joined".to_owned();
            facts.anomaly(rule, "leak", detail).receipt(nth, receipt).done()
        });
    }
}

fn outside_slices(facts: &Facts<'_>, nth: usize, lane: &LaneFacts<'_>, findings: &mut Findings) {
    for (number, session) in lane.sessions.iter().enumerate() {
        let left = matches!(session.end, End::Left { .. });
        for receipt in session.from..session.to {
            let rank = facts.rank_of[lane.lane.receipts.entry[receipt] as usize];
            let (early, late) = (rank < session.low, left && rank >= session.high);
            // What was seen before is a duplicate.
            if rank == NOWHERE || !(early || late) || lane.marks[receipt] & mark::REPEAT != 0 {
                continue;
            }
            if early && lane.sessions[..number].iter().any(|earlier| earlier.covers(rank)) {
                continue;
            }
            findings.add(1, |rule| {
                let detail = if early {
                    format!("from before its session, which began after {}", offset(session.start))
                } else {
                    "from after the offset that its leave was answered with".to_owned()
                };
                facts.anomaly(rule, "leak", detail).receipt(nth, receipt).done()
            });
        }
    }
}

fn offset(offset: Option<chaos_observe::Offset>) -> String {
    offset.map_or("nothing".to_owned(), |offset| offset.to_string())
}

/// Each room's messages as [first attempt, first ack].
fn spans(facts: &Facts<'_>) -> Vec<Vec<(At, At)>> {
    let mut spans: Vec<Vec<_>> = facts.lanes_of.iter().map(|_| Vec::new()).collect();
    for message in facts.with_fate(Fate::Acked) {
        let message = facts.message(message);
        if let (Some(sent), Some(acked)) = (message.first_send, message.first_ack) {
            spans[message.room as usize].push((sent.at, acked.at));
        }
    }
    spans
}

fn between_memberships(
    facts: &Facts<'_>,
    nth: usize,
    lane: &LaneFacts<'_>,
    spans: &[Vec<(At, At)>],
    findings: &mut Findings,
) {
    let away = away(&lane.sessions);
    if away.is_empty() {
        return;
    }
    let inside = |(sent, acked): &&(At, At)| away.iter().any(|(from, to)| from < sent && acked < to);
    findings.examined += spans[lane.lane.room as usize].iter().filter(inside).count() as u64;
    for receipt in 0..lane.lane.receipts.len() {
        let message = facts.message_of[lane.lane.receipts.entry[receipt] as usize];
        let message = facts.message(message);
        let Some(sent) = message.first_send else { continue };
        let acked_before = |to: &At| message.first_ack.is_some_and(|acked| acked.at < *to);
        let in_time = |to: &At| lane.lane.receipts.at[receipt] < *to || acked_before(to);
        if away.iter().any(|(from, to)| *from < sent.at && sent.at < *to && in_time(to)) {
            findings.add(1, |rule| {
                let detail = format!("sent at {}, while the member was away", sent.at);
                facts.anomaly(rule, "leak", detail).receipt(nth, receipt).done()
            });
        }
    }
}

/// From each answered leave to the next join.
fn away(sessions: &[Session]) -> Vec<(At, At)> {
    let next = sessions.iter().skip(1).map(|session| session.asked_at).chain([At(u64::MAX)]);
    let pairs = sessions.iter().zip(next);
    pairs
        .filter_map(|(session, next)| if let End::Left { at, .. } = session.end { Some((at, next)) } else { None })
        .collect()
}
