//! A room without history: whoever is in it gets every frame.
//!
//! Membership hangs on the stream itself, not on a server's disconnect handler, which can be missed under overload: the
//! stream's drop leaves every room, and a connection that is over cannot join. A server that keeps positions of its own
//! has rooms of its own, and uses [`Connection::push`] for each member.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use crate::batch::Batch;
use crate::connection::Connection;
use crate::deflate;
use crate::out::Closed;

/// One membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u64);

static NEXT: AtomicU64 = AtomicU64::new(0);

pub struct Room {
    members: Mutex<BTreeMap<Key, Arc<Connection>>>,
    batch: Arc<Batch>,
    deflate: Arc<deflate::Room>,
}

impl Room {
    pub fn new(batch: Arc<Batch>, deflate: Arc<deflate::Room>) -> Arc<Self> {
        Arc::new(Room { members: Mutex::default(), batch, deflate })
    }

    /// From now on the connection gets what is broadcast here.
    pub fn join(self: &Arc<Self>, connection: &Arc<Connection>) -> Result<Key, Closed> {
        let key = Key(NEXT.fetch_add(1, Ordering::Relaxed));
        let mut members = self.lock();
        connection.enter(key, Arc::downgrade(self))?;
        members.insert(key, Arc::clone(connection));
        Ok(key)
    }

    pub fn leave(&self, key: Key) {
        if let Some(connection) = self.remove(key) {
            connection.leave(key);
        }
    }

    pub(crate) fn remove(&self, key: Key) -> Option<Arc<Connection>> {
        self.lock().remove(&key)
    }

    /// To every member, all in the order of the calls. Returns how many there are.
    pub fn broadcast(&self, frame: &Bytes) -> usize {
        let mut members = self.lock();
        let message = self.deflate.broadcast(frame.clone(), Instant::now());
        members.retain(|_, member| member.push_broadcast(&message, &self.batch).is_ok());
        members.len()
    }

    pub fn len(&self) -> usize {
        self.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Connection>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
