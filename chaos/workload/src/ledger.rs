//! What is owed and what came, live: for progress lines, the steady state, the drain and the latencies. Pure.
//!
//! No judge: it counts receipts and trusts them; who got what, in which order, is the checkers' business, from the
//! history. Members that come and go are neither owed nor credited here: what is theirs, and how late it may be, only
//! the history knows.

use std::collections::{BTreeSet, HashMap, VecDeque};

use system_protocol::{MessageId, Offset};

use crate::{counts::Counts, latency::Latency};

/// One room. Times are microseconds since the run began.
pub(crate) struct Ledger {
    messages: HashMap<MessageId, Owed>,
    /// What must be prompt, by intended time; what is settled goes when it comes to the front.
    open: VecDeque<MessageId>,
    members: Vec<Member>,
    /// Members that stay.
    owing: u32,
    /// The highest offset that was acked.
    head: Option<Offset>,
    /// Offsets that members began from: at their first join, and again where history was lost.
    beginnings: BTreeSet<Offset>,
    /// Intended time of the latest send that was acked.
    acked_due: Option<u64>,
    last_receipt: u64,
    /// Due, neither acked nor ended.
    unresolved: u64,
    pub(crate) counts: Counts,
    pub(crate) acks: Latency,
    pub(crate) deliveries: Latency,
}

struct Owed {
    due: u64,
    acked: Option<u64>,
    /// By members that stay.
    receipts: u32,
    ended: bool,
}

struct Member {
    stays: bool,
    joined: bool,
    cursor: Option<Offset>,
}

impl Ledger {
    pub(crate) fn new() -> Ledger {
        Ledger {
            messages: HashMap::new(),
            open: VecDeque::new(),
            members: Vec::new(),
            owing: 0,
            head: None,
            beginnings: BTreeSet::new(),
            acked_due: None,
            last_receipt: 0,
            unresolved: 0,
            counts: Counts::default(),
            acks: Latency::new(),
            deliveries: Latency::new(),
        }
    }

    /// Returns the member's number in this room.
    pub(crate) fn enrol(&mut self, stays: bool) -> usize {
        self.owing += u32::from(stays);
        self.counts.members += 1;
        self.members.push(Member { stays, joined: false, cursor: None });
        self.members.len() - 1
    }

    /// A message was queued whose time had come at `due`. `prompt`: it may not be late. Who comes and goes may be away
    /// when its time comes.
    pub(crate) fn due(&mut self, id: MessageId, due: u64, prompt: bool) {
        self.counts.due += 1;
        self.unresolved += 1;
        if prompt {
            self.open.push_back(id.clone());
        }
        self.messages.insert(id, Owed { due, acked: None, receipts: 0, ended: false });
    }

    pub(crate) fn attempted(&mut self, first: bool) {
        if first { self.counts.sent += 1 } else { self.counts.retries += 1 }
    }

    pub(crate) fn acked(&mut self, id: &MessageId, offset: Option<Offset>, at: u64) {
        self.head = self.head.max(offset);
        let Some(owed) = self.messages.get_mut(id).filter(|owed| owed.acked.is_none()) else { return };
        owed.acked = Some(at);
        self.unresolved -= u64::from(!owed.ended);
        self.acks.came(at.saturating_sub(owed.due));
        self.acked_due = self.acked_due.max(Some(owed.due));
        self.counts.acked += 1;
        self.counts.owed += u64::from(self.owing);
        self.counts.credited += u64::from(owed.receipts.min(self.owing));
        self.settle();
    }

    /// Refused, unknown or never sent: nothing is owed for it.
    pub(crate) fn ended(&mut self, id: &MessageId) {
        if let Some(owed) = self.messages.get_mut(id) {
            self.unresolved -= u64::from(!owed.ended && owed.acked.is_none());
            owed.ended = true;
        }
        self.settle();
    }

    /// A message that the client showed its user. `None` as its offset: a system without.
    pub(crate) fn received(&mut self, member: usize, id: &MessageId, offset: Option<Offset>, at: u64) {
        self.last_receipt = at;
        let member = &mut self.members[member];
        member.cursor = member.cursor.max(offset);
        let Some(owed) = self.messages.get_mut(id) else {
            self.counts.strangers += 1;
            return;
        };
        if !member.stays {
            return;
        }
        owed.receipts += 1;
        self.deliveries.came(at.saturating_sub(owed.due));
        if owed.acked.is_some() && owed.receipts <= self.owing {
            self.counts.credited += 1;
            self.settle();
        }
    }

    pub(crate) fn joined(&mut self, member: usize, offset: Option<Offset>, recovered: bool) {
        let member = &mut self.members[member];
        member.joined = true;
        if member.cursor.is_none() || !recovered {
            self.beginnings.extend(offset);
        }
        member.cursor = offset.or(member.cursor);
    }

    pub(crate) fn parted(&mut self, member: usize) {
        self.members[member].joined = false;
    }

    fn settle(&mut self) {
        while let Some(owed) = self.open.front().and_then(|id| self.messages.get(id)) {
            if !(owed.ended || owed.acked.is_some() && owed.receipts >= self.owing) {
                break;
            }
            self.open.pop_front();
        }
    }

    /// Everyone who stays is in.
    pub(crate) fn settled(&self) -> bool {
        self.members.iter().all(|member| member.joined || !member.stays)
    }

    pub(crate) fn is_joined(&self, member: usize) -> bool {
        self.members[member].joined
    }

    pub(crate) fn joined_members(&self) -> u64 {
        self.members.iter().filter(|member| member.joined).count() as u64
    }

    /// The intended time of the oldest message that must be prompt and is not acked, or not delivered to all that stay.
    pub(crate) fn oldest_open(&self) -> Option<u64> {
        let front = self.open.front().and_then(|id| self.messages.get(id));
        front.map(|owed| owed.due)
    }

    /// Everyone is in, also who comes and goes.
    pub(crate) fn all_in(&self) -> bool {
        self.members.iter().all(|member| member.joined)
    }

    /// Whether everyone got as far as the last ack. Says nothing of holes.
    pub(crate) fn level(&self) -> bool {
        self.members.iter().all(|member| member.joined && member.cursor >= self.head)
    }

    pub(crate) fn unresolved(&self) -> u64 {
        self.unresolved
    }

    /// Where the run begins, then where it began again after a loss of history.
    pub(crate) fn beginnings(&self) -> Vec<Offset> {
        self.beginnings.iter().copied().collect()
    }

    pub(crate) fn acked_due(&self) -> Option<u64> {
        self.acked_due
    }

    pub(crate) fn last_receipt(&self) -> u64 {
        self.last_receipt
    }

    /// At the end of the run: what is still owed is counted with the time that it has been owed for.
    pub(crate) fn censor(&mut self, now: u64) {
        for owed in self.messages.values().filter(|owed| !owed.ended) {
            let waited = now.saturating_sub(owed.due);
            self.acks.never_came(u64::from(owed.acked.is_none()), waited);
            let missing = if owed.acked.is_some() { self.owing.saturating_sub(owed.receipts) } else { 0 };
            self.deliveries.never_came(u64::from(missing), waited);
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
