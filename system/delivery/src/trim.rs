//! When a room's stream is due for trimming: at most so often per room and node (once a minute), inside an append, or
//! by the sweep when the room is idle. By age only; the functions do the work.

use std::collections::BTreeMap;
use std::time::Duration;

use system_protocol::Room;
use tokio::time::Instant;

/// So many rooms are remembered before those whose time is over are let go.
const REMEMBER: usize = 4096;

pub(crate) struct TrimTimes {
    every: Duration,
    last: BTreeMap<Room, Instant>,
    /// Twice what was left the last time, so that looking at all of them costs an append next to nothing.
    look_at: usize,
}

impl TrimTimes {
    pub(crate) fn new(every: Duration) -> TrimTimes {
        TrimTimes { every, last: BTreeMap::new(), look_at: REMEMBER }
    }

    /// True once in that time. A room that is not remembered is due: it was let go because its time was over.
    pub(crate) fn is_due(&mut self, room: &Room, now: Instant) -> bool {
        if self.last.len() >= self.look_at {
            self.last.retain(|_, last| now.duration_since(*last) < self.every);
            self.look_at = REMEMBER.max(2 * self.last.len());
        }
        match self.last.get_mut(room) {
            Some(last) if now.duration_since(*last) < self.every => false,
            Some(last) => {
                *last = now;
                true
            }
            None => {
                self.last.insert(room.clone(), now);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_mins(1);

    #[test]
    fn a_room_is_due_once_a_minute() {
        let (mut times, now) = (TrimTimes::new(EVERY), Instant::now());
        let room = Room::default();
        let due: Vec<bool> = [0, 59, 60, 61, 121].map(|s| times.is_due(&room, now + Duration::from_secs(s))).to_vec();
        assert_eq!(due, [true, false, true, false, true]);
    }

    #[test]
    fn every_one_of_many_rooms_is_due_once_a_minute() {
        let (mut times, now) = (TrimTimes::new(EVERY), Instant::now());
        let rooms: Vec<Room> = (0..10_000).map(|nth| Room::parse(&format!("room-{nth}")).expect("a name")).collect();
        for minute in 0..3 {
            let now = now + EVERY * minute;
            let mut due = || rooms.iter().filter(|room| times.is_due(room, now)).count();
            assert_eq!((due(), due()), (rooms.len(), 0));
        }
        let other = now + EVERY * 9;
        times.is_due(&Room::default(), other);
        assert!(times.last.len() <= 2 * rooms.len(), "the old ones are let go");
    }
}
