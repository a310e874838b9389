//! Rooms, members and messages.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub rooms: usize,
    /// Connections of each room.
    pub members: usize,
    /// Rooms that each connection is in: its own and those after it.
    pub each: usize,
    /// Messages per second in all rooms together, one room after the other.
    pub per_second: usize,
}

/// What is asked of the fan-out.
pub(super) const FULL: [Load; 3] = [
    Load { rooms: 1, members: 500, each: 1, per_second: 60 },
    Load { rooms: 100, members: 40, each: 1, per_second: 200 },
    Load { rooms: 1, members: 200, each: 1, per_second: 500 },
];
/// The whole corpus once in five turns, to members of one room each and of three equally busy ones.
pub(super) const TALK: [Load; 2] = [
    Load { rooms: 5, members: 40, each: 1, per_second: 200 },
    Load { rooms: 5, members: 40, each: 3, per_second: 200 },
];
pub(super) const SMOKE: [Load; 1] = [Load { rooms: 3, members: 3, each: 2, per_second: 50 }];

impl Load {
    pub(super) fn connections(&self) -> usize {
        self.rooms * self.members
    }

    /// Members of a room that get each message.
    pub(super) fn audience(&self) -> usize {
        self.members * self.each
    }
}

impl fmt::Display for Load {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} x {} members, {} messages/s", self.rooms, self.audience(), self.per_second)?;
        if self.each > 1 { write!(out, ", each in {} rooms", self.each) } else { Ok(()) }
    }
}
