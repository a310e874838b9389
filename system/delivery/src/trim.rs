//! When a room's stream is due for trimming: at most once a minute per room and node, inside an append, or by the sweep
//! when the room is idle. By age only; the functions do the work.

use std::collections::BTreeMap;
use std::time::Duration;

use system_protocol::Room;
use tokio::time::Instant;

const EVERY: Duration = Duration::from_mins(1);
/// So many rooms are remembered before the old ones are let go.
const REMEMBER: usize = 4096;

#[derive(Default)]
pub(crate) struct TrimTimes {
    last: BTreeMap<Room, Instant>,
}

impl TrimTimes {
    /// True once a minute. A room seen for the first time waits for its minute: it is being used.
    pub(crate) fn is_due(&mut self, room: &Room, now: Instant) -> bool {
        if self.last.len() > REMEMBER {
            self.last.retain(|_, last| now.duration_since(*last) < EVERY);
        }
        match self.last.get_mut(room) {
            Some(last) if now.duration_since(*last) >= EVERY => {
                *last = now;
                true
            }
            Some(_) => false,
            None => {
                self.last.insert(room.clone(), now);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_due_once_a_minute() {
        let (mut times, now) = (TrimTimes::default(), Instant::now());
        let room = Room::default();
        let due: Vec<bool> = [0, 59, 60, 61, 121].map(|s| times.is_due(&room, now + Duration::from_secs(s))).to_vec();
        assert_eq!(due, [false, false, true, false, true]);
    }
}
