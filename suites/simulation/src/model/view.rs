//! How one server sees the cluster, and what it learns from another's header: roles, epochs, slots.
//!
//! Source: redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec ("Hash slots configuration propagation",
//! "UPDATE messages", "Config epoch conflicts"), Redis cluster_legacy.c (clusterUpdateSlotsConfigWith). Gossip about
//! third nodes is not modelled as such: what a server says of itself reaches all that it can talk to.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::slot::SLOTS;
use super::state::State;
use super::store::Effect;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Primary,
    ReplicaOf(usize),
}

#[derive(Debug, Clone)]
pub struct Peer {
    pub role: Role,
    pub config_epoch: u64,
    pub heard: Instant,
    /// This server alone misses it (`fail?`).
    pub suspected: bool,
    /// A majority misses it (`fail`), since then.
    pub failed: Option<Instant>,
    pub offset: u64,
}

/// Slots that move together, first and last included: a part of a shard's range, or one that a scenario migrates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    pub first: u16,
    pub last: u16,
}

impl Unit {
    pub fn holds(self, slot: u16) -> bool {
        (self.first..=self.last).contains(&slot)
    }
}

/// The slots of `shards` equal ranges, the `single` ones each a unit of its own, in order, with the shard that begins as
/// owner.
pub fn units(shards: usize, single: &[u16]) -> Vec<(Unit, usize)> {
    let share = SLOTS / shards as u16;
    let mut starts: BTreeSet<u16> = (0..shards as u16).map(|shard| shard * share).collect();
    starts.extend(single.iter().flat_map(|slot| [*slot, slot + 1]).filter(|slot| *slot < SLOTS));
    let lasts = starts.iter().skip(1).map(|start| start - 1).chain([SLOTS - 1]);
    let shard_of = |slot: u16| usize::from(slot / share).min(shards - 1);
    starts.iter().zip(lasts).map(|(first, last)| (Unit { first: *first, last }, shard_of(*first))).collect()
}

#[derive(Debug, Clone)]
pub struct View {
    pub current_epoch: u64,
    pub peers: Vec<Peer>,
    /// Who owns each unit.
    pub owner: Vec<usize>,
}

impl View {
    pub fn owned_by(&self, server: usize) -> impl Iterator<Item = usize> + '_ {
        self.owner.iter().enumerate().filter(move |(_, owner)| **owner == server).map(|(unit, _)| unit)
    }

    pub fn owns_any(&self, server: usize) -> bool {
        self.owner.contains(&server)
    }

    /// Primaries that serve a slot: those that vote, and count for a majority.
    pub fn voters(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.peers.len()).filter(|peer| self.peers[*peer].role == Role::Primary && self.owns_any(*peer))
    }

    pub fn quorum(&self) -> usize {
        self.voters().count() / 2 + 1
    }

    pub fn forget_failures(&mut self) {
        for peer in &mut self.peers {
            peer.heard = Instant::now();
            peer.suspected = false;
        }
    }
}

/// What a server says of itself in every ping and pong.
#[derive(Debug, Clone)]
pub struct Header {
    pub from: usize,
    pub role: Role,
    pub config_epoch: u64,
    pub current_epoch: u64,
    pub units: Vec<usize>,
}

impl State {
    pub fn header_of(&self, from: usize) -> Header {
        self.header_about(from, from)
    }

    /// What `by` would say about `about`: its own header, or an UPDATE about another.
    fn header_about(&self, by: usize, about: usize) -> Header {
        let view = &self.servers[by].view;
        Header {
            from: about,
            role: view.peers[about].role,
            config_epoch: view.peers[about].config_epoch,
            current_epoch: view.current_epoch,
            units: view.owned_by(about).collect(),
        }
    }

    /// Both ends of a bus link tell each other what they claim.
    pub fn exchange(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            let header = self.header_of(from);
            self.learn(to, &header);
            if let Some(better) = self.update_for(to, &header) {
                self.learn(from, &better);
            }
        }
    }

    /// A claim to a slot that this server knows with a higher epoch is answered with that owner's claim.
    fn update_for(&self, me: usize, header: &Header) -> Option<Header> {
        let view = &self.servers[me].view;
        let newer = |unit: &usize| {
            let owner = view.owner[*unit];
            owner != header.from && view.peers[owner].config_epoch > header.config_epoch
        };
        let unit = header.units.iter().find(|unit| newer(unit)).filter(|_| header.role == Role::Primary)?;
        Some(self.header_about(me, view.owner[*unit]))
    }

    pub fn learn(&mut self, me: usize, header: &Header) {
        if header.from == me {
            return;
        }
        let view = &mut self.servers[me].view;
        view.current_epoch = view.current_epoch.max(header.current_epoch);
        let peer = &mut view.peers[header.from];
        peer.role = header.role;
        // A replica's header carries its primary's epoch: that is no claim of its own, and must not keep slots that it
        // owned from those who take them.
        if header.role == Role::Primary {
            peer.config_epoch = peer.config_epoch.max(header.config_epoch);
            self.resolve_conflict(me, header);
            self.take_slots(me, header);
        }
    }

    /// Two primaries with one epoch: the one with the smaller id takes a new one.
    fn resolve_conflict(&mut self, me: usize, header: &Header) {
        let same = self.servers[me].is_primary() && self.servers[me].view.peers[me].config_epoch == header.config_epoch;
        if same && self.servers[me].id < self.servers[header.from].id {
            self.bump_epoch(me);
        }
    }

    pub fn bump_epoch(&mut self, me: usize) {
        let view = &mut self.servers[me].view;
        view.current_epoch += 1;
        view.peers[me].config_epoch = view.current_epoch;
    }

    /// The higher epoch owns a slot. Who lost its last one follows the one that took it.
    fn take_slots(&mut self, me: usize, header: &Header) {
        let master = self.servers[me].master().unwrap_or(me);
        let mut lost_by_us = false;
        let mut dirty = Vec::new();
        for unit in &header.units {
            let server = &self.servers[me];
            let owner = server.view.owner[*unit];
            let importing = server.importing.keys().any(|slot| self.units[*unit].holds(*slot));
            if owner == header.from || importing || server.view.peers[owner].config_epoch >= header.config_epoch {
                continue;
            }
            lost_by_us |= owner == master;
            dirty.extend((owner == me).then_some(*unit));
            self.give_unit(me, *unit, header.from);
        }
        if lost_by_us && !self.servers[me].view.owns_any(master) {
            self.follow(me, header.from);
            return;
        }
        // A primary that lost some of its slots only deletes what it still holds of them.
        for unit in dirty {
            let keys = self.keys_of_unit(me, unit);
            self.servers[me].propagate(keys.into_iter().map(|key| Effect::Delete { key }).collect());
        }
    }

    /// `me` now holds that `unit` belongs to `owner`.
    pub fn give_unit(&mut self, me: usize, unit: usize, owner: usize) {
        let slots = self.units[unit];
        let server = &mut self.servers[me];
        let before = std::mem::replace(&mut server.view.owner[unit], owner);
        if before != owner && owner == me {
            self.taken[unit] = self.trace.now_ms();
        }
        let in_its_shard = before == me || server.master() == Some(before);
        if before != owner && in_its_shard {
            server.drop_channels(|slot| slots.holds(slot));
        }
        server.migrating.retain(|slot, _| !slots.holds(*slot) || owner == me);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_cover_every_slot_once() {
        let units = units(3, &[0, 100, 5461, 16_383]);
        for slot in 0..SLOTS {
            assert_eq!(units.iter().filter(|(unit, _)| unit.holds(slot)).count(), 1, "slot {slot}");
        }
        assert_eq!(units.len(), 8);
    }
}
