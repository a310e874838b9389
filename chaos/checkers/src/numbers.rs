//! What was looked at, in numbers, and how long things took.

use chaos_observe::history::flag;

use crate::{
    facts::{Facts, Fate, LaneFacts, mark},
    latency::Histogram,
    verdict::{Latency, Numbers},
};

/// All but what rules add.
pub(crate) fn of(facts: &Facts<'_>) -> Numbers {
    let history = facts.history;
    let with = |fate| facts.fates.iter().filter(|of| **of == fate).count() as u64;
    let receipts = || facts.lanes.iter().map(|lane| &lane.lane.receipts);
    let flagged =
        |bit| receipts().flat_map(|receipts| &receipts.flags).filter(|flags| **flags & bit != 0).count() as u64;
    let sessions = || facts.lanes.iter().flat_map(|lane| &lane.sessions);
    let (acked, indeterminate) = (with(Fate::Acked), with(Fate::Indeterminate));
    Numbers {
        records: history.records,
        users: facts.lanes.iter().map(|lane| lane.lane.user).collect::<std::collections::BTreeSet<_>>().len() as u64,
        rooms: history.rooms.len() as u64,
        sent: acked + indeterminate + with(Fate::Refused),
        attempts: history.messages.iter().map(|message| u64::from(message.attempts)).sum(),
        acked,
        refused: with(Fate::Refused),
        indeterminate,
        indeterminate_stored: facts
            .with_fate(Fate::Indeterminate)
            .filter(|message| facts.stored[*message as usize])
            .count() as u64,
        received: history.receipts(),
        replayed: flagged(flag::REPLAY),
        hidden: flagged(flag::HIDDEN),
        sessions: sessions().count() as u64,
        resumed: sessions().filter(|session| session.resumes()).count() as u64,
        acks: acks(facts),
        ..Numbers::default()
    }
}

fn acks(facts: &Facts<'_>) -> Latency {
    let mut times = Histogram::new();
    for message in facts.with_fate(Fate::Acked) {
        let message = facts.message(message);
        if let Some(acked) = message.first_ack {
            times.came(acked.at.0.saturating_sub(message.intended.0));
        }
    }
    times.never_came(facts.with_fate(Fate::Indeterminate).count() as u64);
    times.summary()
}

/// `missing`: owed deliveries that never came.
pub(crate) fn deliveries(facts: &Facts<'_>, missing: u64) -> Latency {
    let mut times = Histogram::new();
    for lane in &facts.lanes {
        for session in &lane.sessions {
            of_session(facts, lane, session.from..session.to, session.after_leave, &mut times);
        }
    }
    times.never_came(missing);
    times.summary()
}

/// What is replayed after a leave was not late: the member was away by its own choice.
fn of_session(
    facts: &Facts<'_>,
    lane: &LaneFacts<'_>,
    receipts: std::ops::Range<usize>,
    after_leave: bool,
    times: &mut Histogram,
) {
    let of_lane = &lane.lane.receipts;
    for receipt in receipts {
        let message = facts.message_of[of_lane.entry[receipt] as usize];
        let away = after_leave && of_lane.flags[receipt] & flag::REPLAY != 0;
        if lane.marks[receipt] & mark::REPEAT == 0 && !away && facts.fate(message) != Fate::NotSent {
            times.came(of_lane.at[receipt].0.saturating_sub(facts.message(message).intended.0));
        }
    }
}
