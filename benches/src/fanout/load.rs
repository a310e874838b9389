//! Rooms, members and messages.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub rooms: usize,
    /// Of each room.
    pub members: usize,
    /// Messages per second in all rooms together, one room after the other.
    pub per_second: usize,
}

pub(super) const FULL: [Load; 3] = [
    Load { rooms: 1, members: 500, per_second: 60 },
    Load { rooms: 100, members: 40, per_second: 200 },
    Load { rooms: 1, members: 200, per_second: 500 },
];
pub(super) const SMOKE: [Load; 1] = [Load { rooms: 2, members: 3, per_second: 50 }];

impl Load {
    pub(super) fn connections(&self) -> usize {
        self.rooms * self.members
    }
}

impl fmt::Display for Load {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} x {} members, {} messages/s", self.rooms, self.members, self.per_second)
    }
}
