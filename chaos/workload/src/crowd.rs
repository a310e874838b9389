//! What all users of a load share: rooms with their ledgers, the clock, and where things are written down.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chaos_observe::{Clock, Recorder};
use system_protocol::Room;

use crate::{ContentSize, Targets, counts::Counts, ledger::Ledger, traces::Traces};

pub(crate) struct Crowd {
    pub(crate) targets: Targets,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) traces: Traces,
    pub(crate) rooms: Vec<Place>,
    pub(crate) content: ContentSize,
    pub(crate) ack_timeout: Duration,
    /// What kept a user out last.
    pub(crate) trouble: Mutex<Option<String>>,
}

/// A room and what is owed in it.
pub(crate) struct Place {
    pub(crate) name: Room,
    ledger: Mutex<Ledger>,
}

impl Place {
    pub(crate) fn new(name: Room) -> Place {
        Place { name, ledger: Mutex::new(Ledger::new()) }
    }

    /// Held for moments only, never across an await.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Crowd {
    pub(crate) fn counts(&self) -> Counts {
        let mut total = Counts::default();
        for place in &self.rooms {
            let ledger = place.ledger();
            total += Counts { joined: ledger.joined_members(), ..ledger.counts };
        }
        total
    }

    pub(crate) fn settled(&self) -> bool {
        self.rooms.iter().all(|place| place.ledger().settled())
    }

    /// Rooms where `holds` is not the case, by name.
    pub(crate) fn rooms_unless(&self, holds: impl Fn(&Ledger) -> bool) -> Vec<String> {
        let failing = self.rooms.iter().filter(|place| !holds(&place.ledger()));
        failing.map(|place| place.name.as_str().to_owned()).collect()
    }

    pub(crate) fn troubled(&self, what: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }

    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now().0
    }
}
