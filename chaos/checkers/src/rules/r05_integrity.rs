//! R5: content, room and sender arrive as they were sent, and a room's offsets and messages belong to each other one to
//! one: in receipts, in the final read and in acks.

use chaos_observe::{Offset, history::Entry};

use crate::{
    Rule,
    facts::{Facts, Fate},
    findings::{Findings, Severity},
    verdict::Numbers,
};

pub(super) fn check(facts: &Facts<'_>, _: &mut Numbers) -> Findings {
    let mut findings = Findings::of(Rule::R5);
    let wrong: Vec<_> = facts.history.entries.iter().map(|entry| wrong(facts, entry)).collect();
    findings.examined = facts.history.receipts();
    let intact = wrong.iter().all(Option::is_none);
    for (nth, lane) in facts.lanes.iter().enumerate().filter(|_| !intact) {
        for (receipt, entry) in lane.lane.receipts.entry.iter().enumerate() {
            if let Some((severity, kind)) = wrong[*entry as usize] {
                let detail = || describe(facts, &facts.history.entries[*entry as usize]);
                findings.add(severity, |rule| facts.anomaly(rule, kind, detail()).receipt(nth, receipt).done());
            }
        }
    }
    for room in &facts.history.rooms {
        findings.examined += room.finals.len() as u64;
        for read in &room.finals {
            let entry = &facts.history.entries[read.entry as usize];
            if let Some((severity, kind)) = wrong[read.entry as usize] {
                findings.add(severity, |rule| {
                    let detail = format!("in the final read: {}", describe(facts, entry));
                    let draft = facts.anomaly(rule, kind, detail).message(entry.message).room(entry.room);
                    draft.offset(entry.offset).at(read.at).done()
                });
            }
        }
    }
    conflicts(facts, &mut findings);
    findings
}

fn wrong(facts: &Facts<'_>, entry: &Entry) -> Option<(Severity, &'static str)> {
    let sent = facts.message(entry.message);
    match facts.fate(entry.message) {
        // A phantom has nothing to be compared with.
        Fate::NotSent => None,
        _ if entry.room != sent.room => Some((5, "cross-room")),
        _ if entry.sender != sent.sender => Some((4, "wrong sender")),
        _ if entry.content != sent.content => Some((4, "corrupt content")),
        _ if facts.offsets && entry.offset.is_none() => Some((1, "no offset")),
        _ => None,
    }
}

fn describe(facts: &Facts<'_>, entry: &Entry) -> String {
    let (history, sent) = (facts.history, facts.message(entry.message));
    let (room, user) = (|room| history.room_names.name(room), |user| history.users.name(user));
    let was = format!("sent to {} by {} with content {}", room(sent.room), user(sent.sender), sent.content);
    format!("{was}, arrived in {} from {} with content {}", room(entry.room), user(entry.sender), entry.content)
}

/// One pair of a room that somebody named.
type Claim = (u32, Offset, u32);

fn conflicts(facts: &Facts<'_>, findings: &mut Findings) {
    let history = facts.history;
    findings.examined += history.acks.len() as u64;
    let entries = history.entries.iter().filter_map(|entry| Some((entry.room, entry.offset?, entry.message)));
    let acked = history.acks.iter().filter(|ack| facts.fate(ack.message) != Fate::NotSent);
    let acks = acked.filter_map(|ack| Some((facts.message(ack.message).room, ack.offset?, ack.message)));
    let mut claims: Vec<Claim> = entries.chain(acks).collect();
    claims.sort_unstable();
    claims.dedup();
    for (a, b) in neighbours(&claims).filter(|(a, b)| (a.0, a.1) == (b.0, b.1)) {
        let other = history.message_names.name(a.2);
        report(facts, findings, *b, format!("{other} is named at the same offset"));
    }
    claims.sort_unstable_by_key(|(room, offset, message)| (*room, *message, *offset));
    for (a, b) in neighbours(&claims).filter(|(a, b)| (a.0, a.2) == (b.0, b.2)) {
        report(facts, findings, *b, format!("the same message is named at {} too", a.1));
    }
}

fn neighbours(claims: &[Claim]) -> impl Iterator<Item = (&Claim, &Claim)> {
    claims.windows(2).map(|pair| (&pair[0], &pair[1]))
}

fn report(facts: &Facts<'_>, findings: &mut Findings, (room, offset, message): Claim, detail: String) {
    findings.add(3, |rule| {
        facts.anomaly(rule, "offset conflict", detail).message(message).room(room).offset(Some(offset)).done()
    });
}
