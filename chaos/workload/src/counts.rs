//! The numbers of the live line and of the summary.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Totals since the load began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Memberships (a user in three rooms counts three times), and how many of them are joined now.
    pub members: u64,
    pub joined: u64,
    /// Messages whose time to be sent has come.
    pub due: u64,
    /// Of these, how many went on the wire.
    pub sent: u64,
    /// Attempts after the first.
    pub retries: u64,
    pub acked: u64,
    /// Refusals as they came; one message can be refused, sent again and acked.
    pub refused: u64,
    /// Attempts that timed out or whose connection went.
    pub indeterminate: u64,
    /// Given up without knowing the outcome.
    pub unknown: u64,
    /// Never sent: the queue was full, or the client closed.
    pub unsent: u64,
    /// Deliveries owed to members that neither leave nor cut: acked messages times such members.
    pub owed: u64,
    /// Of these, how many came. What is missing is on its way or lost: the checkers know.
    pub credited: u64,
    /// Every receipt on the wire.
    pub received: u64,
    /// Of these, replayed, and hidden from the user (duplicates).
    pub replayed: u64,
    pub hidden: u64,
    /// Receipts of messages that nobody here sent.
    pub strangers: u64,
    /// Connections that ended, whatever ended them.
    pub downs: u64,
}

impl Counts {
    pub fn missing(&self) -> u64 {
        self.owed.saturating_sub(self.credited)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        let pairs = [
            (&mut self.members, other.members),
            (&mut self.joined, other.joined),
            (&mut self.due, other.due),
            (&mut self.sent, other.sent),
            (&mut self.retries, other.retries),
            (&mut self.acked, other.acked),
            (&mut self.refused, other.refused),
            (&mut self.indeterminate, other.indeterminate),
            (&mut self.unknown, other.unknown),
            (&mut self.unsent, other.unsent),
            (&mut self.owed, other.owed),
            (&mut self.credited, other.credited),
            (&mut self.received, other.received),
            (&mut self.replayed, other.replayed),
            (&mut self.hidden, other.hidden),
            (&mut self.strangers, other.strangers),
            (&mut self.downs, other.downs),
        ];
        for (mine, more) in pairs {
            *mine += more;
        }
    }
}
