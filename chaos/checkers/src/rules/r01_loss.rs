//! R1: what is owed to a member arrives.
//!
//! With offsets, a member is owed what of its slices is in the final read: what was acknowledged and is not there is
//! R12's. Without offsets it is owed each acknowledged message whose [send, ack] lies within a membership that is
//! certain: from the join's answer to the leave, or to the loss of connection.

use std::collections::BTreeMap;

use crate::{
    Rule,
    facts::{Facts, Fate, LaneFacts, Seen, Session},
    findings::{Findings, Severity},
    verdict::Numbers,
};

struct Missing {
    message: u32,
    /// Its rank, or its place among the room's acknowledged messages by time.
    item: u32,
    lane: usize,
    node: Option<u32>,
}

/// How many were owed a message and how many missed it, in all and by node.
#[derive(Default)]
struct Tally {
    owed: u32,
    missed: u32,
    by_node: BTreeMap<Option<u32>, (u32, u32)>,
}

pub(super) fn check(facts: &Facts<'_>, numbers: &mut Numbers) -> Findings {
    if !facts.promised(Rule::R1) {
        return Findings::outside(Rule::R1);
    }
    let acked = if facts.offsets { Vec::new() } else { acked_by_room(facts) };
    let mut missing: Vec<Vec<Missing>> = facts.lanes_of.iter().map(|_| Vec::new()).collect();
    let mut findings = Findings::of(Rule::R1);
    let mut seen = facts.seen();
    for (nth, lane) in facts.lanes.iter().enumerate() {
        facts.see(lane, &mut seen);
        let of_room = &mut missing[lane.lane.room as usize];
        findings.examined += if facts.offsets {
            by_slice(facts, nth, lane, &seen, of_room)
        } else {
            by_time(facts, nth, lane, &acked[lane.lane.room as usize], &seen, of_room)
        };
    }
    for (room, mut missing) in missing.into_iter().enumerate() {
        missing.sort_by_key(|missing| (missing.item, missing.lane));
        for of_message in missing.chunk_by(|a, b| a.item == b.item) {
            report(facts, room, of_message, acked.get(room), &mut findings);
            numbers.acked_lost += u64::from(facts.fate(of_message[0].message) == Fate::Acked);
        }
    }
    numbers.owed = findings.examined;
    numbers.missing = findings.count;
    let unread = facts.unread_rooms();
    if facts.offsets && !unread.is_empty() {
        findings.unknown = Some(format!("no final read of {}", unread.join(", ")));
    }
    findings
}

/// Returns how many deliveries were owed.
fn by_slice(facts: &Facts<'_>, nth: usize, lane: &LaneFacts<'_>, seen: &Seen, missing: &mut Vec<Missing>) -> u64 {
    let places = &facts.places[lane.lane.room as usize];
    let mut owed = 0;
    for session in &lane.sessions {
        owed += u64::from(places.stored_in(session.low, session.high));
        for (item, place) in (session.low..).zip(places.range(session.low, session.high)) {
            if place.stored && !seen.has(place.message) {
                missing.push(Missing { message: place.message, item, lane: nth, node: session.node });
            }
        }
    }
    owed
}

/// Each room's acknowledged messages by the time of their first attempt.
fn acked_by_room(facts: &Facts<'_>) -> Vec<Vec<u32>> {
    let mut acked: Vec<Vec<u32>> = facts.lanes_of.iter().map(|_| Vec::new()).collect();
    for message in facts.with_fate(Fate::Acked) {
        acked[facts.message(message).room as usize].push(message);
    }
    for of_room in &mut acked {
        of_room.sort_by_key(|message| facts.message(*message).first_send.map(|sent| (sent.at, sent.nth)));
    }
    acked
}

fn by_time(
    facts: &Facts<'_>,
    nth: usize,
    lane: &LaneFacts<'_>,
    acked: &[u32],
    seen: &Seen,
    missing: &mut Vec<Missing>,
) -> u64 {
    let mut owed = 0;
    for session in &lane.sessions {
        let first = acked.partition_point(|message| {
            facts.message(*message).first_send.is_some_and(|sent| sent.at <= session.joined_at)
        });
        for (item, message) in (0u32..).zip(acked).skip(first) {
            match certain(facts, session, *message) {
                Certain::No => {}
                Certain::TooLate => break,
                Certain::Yes => {
                    owed += 1;
                    if !seen.has(*message) {
                        missing.push(Missing { message: *message, item, lane: nth, node: session.node });
                    }
                }
            }
        }
    }
    owed
}

enum Certain {
    Yes,
    No,
    /// And so are all that were sent later.
    TooLate,
}

fn certain(facts: &Facts<'_>, session: &Session, message: u32) -> Certain {
    let message = facts.message(message);
    let (Some(sent), Some(acked)) = (message.first_send, message.first_ack) else { return Certain::No };
    match () {
        () if sent.at >= session.ends_at() => Certain::TooLate,
        () if sent.at > session.joined_at && acked.at < session.ends_at() => Certain::Yes,
        () => Certain::No,
    }
}

fn report(facts: &Facts<'_>, room: usize, missing: &[Missing], acked: Option<&Vec<u32>>, findings: &mut Findings) {
    let (message, item) = (missing[0].message, missing[0].item);
    let tally = tally(facts, room, missing, |lane| match acked {
        None => lane.session_covering(item),
        Some(_) => lane.sessions.iter().find(|session| matches!(certain(facts, session, message), Certain::Yes)),
    });
    let (severity, kind) = classify(&tally);
    let where_ = tally.by_node.iter().filter(|(_, (_, missed))| *missed > 0);
    let where_: Vec<_> =
        where_.map(|(node, (owed, missed))| format!("{missed} of {owed} on {}", name(facts, *node))).collect();
    let detail = format!("{} of {} who were owed it did not get it: {}", tally.missed, tally.owed, where_.join(", "));
    findings.add_many(missing.len() as u64, severity, |rule| {
        let place = facts.places[room].all.get(item as usize).filter(|_| acked.is_none());
        let draft = facts.anomaly(rule, kind, detail).message(message).room(room as u32);
        let draft = draft.offset(place.map(|place| place.offset));
        match severity {
            AT_A_MEMBER => draft.member(facts.lanes[missing[0].lane].lane.user).node(missing[0].node).done(),
            ON_A_NODE => draft.node(missing[0].node).done(),
            _ => draft.done(),
        }
    });
}

fn name<'h>(facts: &Facts<'h>, node: Option<u32>) -> &'h str {
    node.map_or("no node", |node| facts.history.nodes.name(node))
}

fn tally<'f, 'h>(
    facts: &'f Facts<'h>,
    room: usize,
    missing: &[Missing],
    owing: impl Fn(&'f LaneFacts<'h>) -> Option<&'f Session>,
) -> Tally {
    let mut tally = Tally { missed: missing.len() as u32, ..Tally::default() };
    for lane in &facts.lanes_of[room] {
        if let Some(session) = owing(&facts.lanes[*lane]) {
            tally.owed += 1;
            tally.by_node.entry(session.node).or_default().0 += 1;
        }
    }
    for missing in missing {
        tally.by_node.entry(missing.node).or_default().1 += 1;
    }
    tally
}

const FOR_ALL: Severity = 3;
const ON_A_NODE: Severity = 2;
const AT_A_MEMBER: Severity = 1;

/// On a node: all its members missed it, and they are more than one.
fn classify(tally: &Tally) -> (Severity, &'static str) {
    let whole_nodes = || tally.by_node.values().all(|(owed, missed)| *missed == 0 || missed >= owed && *owed > 1);
    match tally {
        tally if tally.missed >= tally.owed && tally.owed > 1 => (FOR_ALL, "lost for all"),
        _ if whole_nodes() => (ON_A_NODE, "lost on a node"),
        _ => (AT_A_MEMBER, "lost at a member"),
    }
}
