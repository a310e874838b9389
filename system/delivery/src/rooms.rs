//! The rooms that have members on this node.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use system_protocol::Room;

use crate::names::Partition;
use crate::room::{RoomCell, SessionId};

#[derive(Default)]
pub(crate) struct Rooms {
    open: Mutex<BTreeMap<Room, Arc<RoomCell>>>,
    sessions: AtomicU64,
}

impl Rooms {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Room, Arc<RoomCell>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn new_session(&self) -> SessionId {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn get(&self, room: &Room) -> Option<Arc<RoomCell>> {
        self.lock().get(room).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Opens the room for somebody who enters; it stays open until the door is dropped, and then for its members.
    pub(crate) fn enter(self: &Arc<Self>, room: &Room) -> Door {
        let mut open = self.lock();
        let cell = open.entry(room.clone()).or_insert_with(|| Arc::new(RoomCell::new(room.clone()))).clone();
        cell.reserve();
        Door { rooms: self.clone(), cell }
    }

    /// A room without members forgets its cursor; whoever comes next begins at the head.
    pub(crate) fn close_when_deserted(&self, room: &Room) {
        let mut open = self.lock();
        if open.get(room).is_some_and(|cell| cell.deserted()) {
            open.remove(room);
        }
    }

    pub(crate) fn by_partition(&self) -> BTreeMap<Partition, Vec<Arc<RoomCell>>> {
        let mut partitions: BTreeMap<Partition, Vec<Arc<RoomCell>>> = BTreeMap::new();
        for cell in self.lock().values() {
            partitions.entry(cell.partition).or_default().push(cell.clone());
        }
        partitions
    }
}

/// Keeps a room open while a session is on its way in.
pub(crate) struct Door {
    rooms: Arc<Rooms>,
    pub(crate) cell: Arc<RoomCell>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.cell.release();
        self.rooms.close_when_deserted(&self.cell.room);
    }
}
