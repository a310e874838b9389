//! The known places of a room in their order: every offset that the final read, an ack or a receipt named.

use chaos_observe::{History, Offset};

/// The rank of what has no offset.
pub(crate) const NOWHERE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) offset: Offset,
    /// Who is there: by the final read, else by an ack, else by a receipt.
    pub(crate) message: u32,
    /// In the final read.
    pub(crate) stored: bool,
}

#[derive(Default)]
pub(crate) struct Places {
    pub(crate) all: Vec<Place>,
    /// How many stored places are before each rank; one longer than `all`.
    stored_before: Vec<u32>,
}

impl Places {
    /// How many known offsets are at or before this one: the rank that follows it.
    pub(crate) fn after(&self, offset: Offset) -> u32 {
        self.all.partition_point(|place| place.offset <= offset) as u32
    }

    /// Stored places in `from..to`.
    #[inline]
    pub(crate) fn stored_in(&self, from: u32, to: u32) -> u32 {
        self.stored_before[to as usize].saturating_sub(self.stored_before[from as usize])
    }

    pub(crate) fn len(&self) -> u32 {
        self.all.len() as u32
    }

    pub(crate) fn range(&self, from: u32, to: u32) -> &[Place] {
        if from < to { &self.all[from as usize..to as usize] } else { &[] }
    }
}

/// Who says that a message is at an offset; the earlier is believed first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Final,
    Ack,
    Receipt,
}

struct Claim {
    offset: Offset,
    source: Source,
    message: u32,
    /// `NOWHERE` for acks.
    entry: u32,
}

/// By room; and by entry its rank in its room.
pub(crate) fn of(history: &History) -> (Vec<Places>, Vec<u32>) {
    let mut rank_of = vec![NOWHERE; history.entries.len()];
    let places = claims(history).into_iter().map(|claims| settle(claims, &mut rank_of)).collect();
    (places, rank_of)
}

fn claims(history: &History) -> Vec<Vec<Claim>> {
    let mut final_entries = vec![false; history.entries.len()];
    for read in history.rooms.iter().flat_map(|room| &room.finals) {
        final_entries[read.entry as usize] = true;
    }
    let mut claims: Vec<Vec<Claim>> = history.rooms.iter().map(|_| Vec::new()).collect();
    for ((nth, entry), read) in (0u32..).zip(&history.entries).zip(final_entries) {
        let source = if read { Source::Final } else { Source::Receipt };
        if let Some(offset) = entry.offset {
            claims[entry.room as usize].push(Claim { offset, source, message: entry.message, entry: nth });
        }
    }
    for ack in &history.acks {
        let message = &history.messages[ack.message as usize];
        if let (Some(offset), 1..) = (ack.offset, message.attempts) {
            let claim = Claim { offset, source: Source::Ack, message: ack.message, entry: NOWHERE };
            claims[message.room as usize].push(claim);
        }
    }
    claims
}

fn settle(mut claims: Vec<Claim>, rank_of: &mut [u32]) -> Places {
    claims.sort_unstable_by_key(|claim| (claim.offset, claim.source, claim.message, claim.entry));
    let mut all: Vec<Place> = Vec::new();
    for claim in claims {
        if all.last().is_none_or(|last| last.offset != claim.offset) {
            all.push(Place { offset: claim.offset, message: claim.message, stored: claim.source == Source::Final });
        }
        if claim.entry != NOWHERE {
            rank_of[claim.entry as usize] = all.len() as u32 - 1;
        }
    }
    let mut stored_before = vec![0];
    stored_before.extend(all.iter().scan(0, |stored, place| {
        *stored += u32::from(place.stored);
        Some(*stored)
    }));
    Places { all, stored_before }
}
