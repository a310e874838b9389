//! Moving one slot from one primary to another, key by key, as redis-cli does it.
//! Source: redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec ("Live reconfiguration"),
//! redis.io/docs/latest/commands/cluster-setslot, /migrate.

use tokio::time::{Duration, sleep};

use super::Redis;
use super::state::State;
use super::store::Effect;

impl Redis {
    /// Move `slot` to `target`, one key each `pace`. False when it was left half-done, because a server was lost on the
    /// way; the slot is then put back to stable where it was.
    pub async fn migrate(&self, slot: u16, target: usize, pace: Duration) -> bool {
        let source = self.primary_of_slot(slot);
        if source == target || !self.with(|state| state.begin_migration(slot, source, target)) {
            return false;
        }
        self.trace.tell(format!("slot {slot} moves from redis-{} to redis-{}", source + 1, target + 1));
        loop {
            sleep(pace).await;
            match self.with(|state| state.migrate_one(slot, source, target)) {
                Some(true) => {}
                Some(false) => break,
                None => {
                    self.trace.tell(format!("slot {slot} stays half-moved"));
                    return false;
                }
            }
        }
        self.with(|state| state.end_migration(slot, source, target));
        self.trace.tell(format!("slot {slot} is redis-{}'s", target + 1));
        true
    }
}

/// Step by step, for the conformance script.
#[cfg(test)]
impl Redis {
    pub fn begin_migration(&self, slot: u16, target: usize) -> bool {
        let source = self.primary_of_slot(slot);
        self.with(|state| state.begin_migration(slot, source, target))
    }

    /// False when there was no key to move.
    pub fn migrate_one(&self, slot: u16, target: usize) -> bool {
        let source = self.primary_of_slot(slot);
        self.with(|state| state.migrate_one(slot, source, target)) == Some(true)
    }

    pub fn end_migration(&self, slot: u16, target: usize) {
        let source = self.primary_of_slot(slot);
        self.with(|state| state.end_migration(slot, source, target));
    }
}

impl Redis {
    /// Move at once what was left half-moved, as an operator would in the end (`redis-cli --cluster fix`).
    pub fn finish_migrations(&self) {
        self.with(|state| {
            for source in 0..state.servers.len() {
                let moving: Vec<_> = state.servers[source].migrating.iter().map(|(slot, to)| (*slot, *to)).collect();
                for (slot, target) in moving {
                    while state.migrate_one(slot, source, target) == Some(true) {}
                    if state.both_serve(slot, source, target) {
                        state.end_migration(slot, source, target);
                    }
                }
            }
        });
    }
}

impl State {
    fn both_serve(&self, slot: u16, source: usize, target: usize) -> bool {
        let owns = self.servers[source].view.owner[self.unit_of(slot)] == source;
        let primaries = self.servers[source].is_primary() && self.servers[target].is_primary();
        owns && primaries && self.in_touch(source, target)
    }

    fn begin_migration(&mut self, slot: u16, source: usize, target: usize) -> bool {
        let possible = self.both_serve(slot, source, target) && self.settings.single_slots.contains(&slot);
        if possible {
            self.servers[target].importing.insert(slot, source);
            self.servers[source].migrating.insert(slot, target);
        }
        possible
    }

    /// MIGRATE one key, the first: it is at one of the two at every moment. `Some(false)` when none is left.
    fn migrate_one(&mut self, slot: u16, source: usize, target: usize) -> Option<bool> {
        if !self.both_serve(slot, source, target) || !self.servers[source].migrating.contains_key(&slot) {
            return None;
        }
        let keys = self.servers[source].store.keys_of_slot(slot);
        let Some(key) = keys.first().cloned() else { return Some(false) };
        let entry = self.servers[source].store.get(&key)?.clone();
        self.servers[target].propagate(vec![Effect::Restore { key: key.clone(), entry }]);
        self.servers[source].propagate(vec![Effect::Delete { key }]);
        Some(true)
    }

    /// SETSLOT NODE, the target first: it takes a new epoch without asking, and tells.
    fn end_migration(&mut self, slot: u16, source: usize, target: usize) {
        let unit = self.unit_of(slot);
        self.servers[target].importing.remove(&slot);
        self.bump_epoch(target);
        self.give_unit(target, unit, target);
        self.servers[source].migrating.remove(&slot);
        let header = self.header_of(target);
        for other in 0..self.servers.len() {
            if other != target && self.in_touch(target, other) {
                self.learn(other, &header);
            }
        }
    }
}
