//! The rooms of one session, and how it stands to each: a list, because they are mostly one.

use system_protocol::Room;

/// An entry takes no more memory than it has, and a session has few.
pub(super) struct Places<T>(Vec<(Room, T)>);

impl<T> Places<T> {
    pub(super) fn new() -> Self {
        Places(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, room: &Room) -> Option<&T> {
        self.0.iter().find(|(known, _)| known == room).map(|(_, place)| place)
    }

    pub(super) fn get_mut(&mut self, room: &Room) -> Option<&mut T> {
        self.0.iter_mut().find(|(known, _)| known == room).map(|(_, place)| place)
    }

    /// In the place of what was there.
    pub(super) fn insert(&mut self, room: Room, place: T) {
        if let Some(known) = self.get_mut(&room) {
            *known = place;
        } else {
            // One by one: a vector would begin with room for four.
            self.0.reserve_exact(1);
            self.0.push((room, place));
        }
    }

    pub(super) fn remove(&mut self, room: &Room) -> Option<T> {
        let nth = self.0.iter().position(|(known, _)| known == room)?;
        Some(self.0.swap_remove(nth).1)
    }
}
