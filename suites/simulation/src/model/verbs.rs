//! What a scenario does to servers, and what it may ask to choose its targets.

use bytes::Bytes;

use super::server::Process;
use super::store::Effect;
use super::stream::{Id, Stream};
use super::{Redis, State};
use crate::network::{Death, Host};

impl Redis {
    pub fn count(&self) -> usize {
        self.with(|state| state.servers.len())
    }

    pub fn shards(&self) -> usize {
        self.with(|state| state.settings.shards)
    }

    /// Trim a stream, as an operator's XTRIM would, to the last entry that every replica holds: what may still be lost is
    /// not old. Says how many entries went.
    pub fn trim(&self, stream: &str) -> usize {
        let primary = self.primary_of_slot(super::slot::slot_of(stream.as_bytes()));
        let key = Bytes::copy_from_slice(stream.as_bytes());
        self.with(|state| {
            let last = |server: usize| state.servers[server].store.stream(&key).map_or(Id::default(), Stream::last);
            let old = state.replicas_of(primary).into_iter().map(last).min().unwrap_or_default();
            let server = &mut state.servers[primary];
            let Some(held) = server.store.stream(&key).filter(|_| server.running()) else { return 0 };
            let count = held.range(Id::default(), old).count().saturating_sub(1);
            if count > 0 {
                state.trace.tell(format!("{stream} is trimmed by {count} entries"));
                server.propagate(vec![Effect::DropFirst { key, count }]);
            }
            count
        })
    }

    /// What was trimmed from a stream, by whomever, and behind it the entry that is the first now; nothing where nothing
    /// was. What a primary trimmed that was lost with it was not trimmed.
    pub fn trimmed(&self, stream: &str) -> Vec<(Id, Vec<String>)> {
        let primary = self.primary_of_slot(super::slot::slot_of(stream.as_bytes()));
        self.with(|state| {
            let Some(stream) = state.servers[primary].store.stream(stream.as_bytes()) else { return Vec::new() };
            let trimmed = stream.trimmed();
            let first = stream.range(Id::default(), Id::MAX).next().filter(|_| !trimmed.is_empty());
            let text = |field: &Bytes| String::from_utf8_lossy(field).into_owned();
            trimmed.iter().chain(first).map(|(id, fields)| (*id, fields.iter().map(text).collect())).collect()
        })
    }

    /// Which host runs a server.
    pub fn host_of(&self, server: usize) -> Host {
        self.host(server)
    }

    /// `ip` and port of a server, as the cluster announces it.
    pub fn address_of(&self, server: usize) -> (String, u16) {
        self.with(|state| (state.servers[server].ip.clone(), state.servers[server].port))
    }

    /// The server with that address.
    pub fn server_at(&self, ip: &str, port: u16) -> Option<usize> {
        self.with(|state| state.servers.iter().position(|server| server.ip == ip && server.port == port))
    }

    pub fn process(&self, server: usize) -> Process {
        self.with(|state| state.servers[server].process)
    }

    /// The primary of a slot, as its highest claimant says.
    pub fn primary_of_slot(&self, slot: u16) -> usize {
        self.with(|state| state.owner_of(state.unit_of(slot)))
    }

    /// The primary of the shard that began with server `shard`.
    pub fn primary_of_shard(&self, shard: usize) -> usize {
        self.with(|state| {
            let share = super::slot::SLOTS as usize / state.settings.shards;
            let low = (shard * share) as u16;
            // Skip slots that may have gone elsewhere on their own.
            let slot =
                (low..super::slot::SLOTS).find(|slot| !state.settings.single_slots.contains(slot)).unwrap_or(low);
            state.owner_of(state.unit_of(slot))
        })
    }

    pub fn replicas_of(&self, primary: usize) -> Vec<usize> {
        self.with(|state| state.replicas_of(primary))
    }

    pub fn promotions(&self) -> u64 {
        self.with(|state| state.tally.promotions)
    }

    pub fn failed_elections(&self) -> u64 {
        self.with(|state| state.tally.failed_elections)
    }

    pub fn unmodelled(&self) -> u64 {
        self.with(|state| state.tally.unmodelled)
    }

    pub fn stray_writes(&self) -> u64 {
        self.with(|state| state.tally.stray_writes)
    }

    /// Every shard has a running primary that serves, every replica is in step with it, and no slot is on its way.
    pub fn settled(&self) -> bool {
        self.with(|state| (0..state.servers.len()).all(|server| state.in_step(server)))
    }

    /// End a process. With [`Death::Machine`] nothing of it is heard any more, not even a reset.
    pub fn kill(&self, server: usize, death: Death) {
        if self.process(server) == Process::Dead {
            return;
        }
        self.trace.tell(format!("redis-{} dies ({death:?})", server + 1));
        self.net.kill(self.host(server), death);
        self.with(|state| state.servers[server].process = Process::Dead);
        let mut tasks = self.tasks.lock().expect("no panic inside the model");
        drop(std::mem::take(&mut tasks[server]));
        drop(tasks);
        self.with(|state| state.servers[server].die());
    }

    /// Start a dead one again.
    pub fn restart(&self, server: usize) {
        if self.process(server) != Process::Dead {
            return;
        }
        self.trace.tell(format!("redis-{} starts again", server + 1));
        self.with(|state| {
            let (persisted, id) = (state.settings.persisted, state.chance.draw());
            state.servers[server].boot(persisted, id);
        });
        self.run(server);
    }

    /// Another primary owns what this one owned, or it is a replica: only then a restart is safe
    /// (docs/delivery.md, "Settings that the promise needs").
    pub fn replaced(&self, server: usize) -> bool {
        self.with(|state| {
            let units = state.servers[server].view.owned_by(server);
            !state.servers[server].is_primary() || units.into_iter().all(|unit| state.owner_of(unit) != server)
        })
    }

    pub fn pause(&self, server: usize) {
        self.with(|state| {
            let paused = &mut state.servers[server];
            if paused.process == Process::Running {
                paused.process = Process::Paused;
                state.trace.tell(format!("redis-{} is paused", server + 1));
            }
        });
    }

    pub fn wake(&self, server: usize) {
        self.with(|state| {
            let paused = &mut state.servers[server];
            if paused.process == Process::Paused {
                paused.process = Process::Running;
                paused.woken.notify_waiters();
                state.trace.tell(format!("redis-{} wakes", server + 1));
            }
        });
    }

    /// Cut the cluster bus between two servers, or mend it; what else goes between them is untouched.
    pub fn cut_bus(&self, a: usize, b: usize, cut: bool) {
        self.with(|state| if cut { state.bus_cut.insert((a, b)) } else { state.bus_cut.remove(&(a, b)) });
    }

    /// Two servers can talk: both run, and nothing that is cut lies between them.
    pub fn in_touch(&self, a: usize, b: usize) -> bool {
        self.with(|state| state.in_touch(a, b))
    }

    /// Break a replica's link: it connects and synchronises again.
    pub fn detach(&self, replica: usize) {
        let master = self.with(|state| state.servers[replica].master());
        if let Some(master) = master {
            self.trace.tell(format!("the link of redis-{} to redis-{} breaks", replica + 1, master + 1));
            self.net.reset(self.host(replica), self.host(master));
        }
    }

    /// Put a server's clock ahead or behind.
    pub fn skew(&self, server: usize, skew_ms: i64) {
        self.trace.tell(format!("the clock of redis-{} is {skew_ms} ms off", server + 1));
        self.with(|state| state.servers[server].skew_ms = skew_ms);
    }

    /// Whether a server's elections get no votes.
    pub fn set_voteless(&self, server: usize, voteless: bool) {
        self.with(|state| {
            let set = &mut state.tally.voteless;
            if voteless { set.insert(server) } else { set.remove(&server) }
        });
    }
}

/// What an operator does.
impl Redis {
    /// CLUSTER FAILOVER TAKEOVER at a replica: a new epoch, and nobody is asked.
    pub fn take_over(&self, replica: usize) {
        self.with(|state| {
            state.bump_epoch(replica);
            let epoch = state.servers[replica].view.current_epoch;
            state.promote(replica, epoch);
        });
    }

    /// The same where nobody was elected: the replica that holds most takes the place of a primary that is gone, before
    /// that one comes back (redis.io/docs/latest/commands/cluster-failover).
    pub fn take_over_from(&self, primary: usize) {
        if self.replaced(primary) {
            return;
        }
        let heir = self.with(|state| {
            let running = state.replicas_of(primary).into_iter().filter(|replica| state.servers[*replica].running());
            running.max_by_key(|replica| state.servers[*replica].offset)
        });
        if let Some(heir) = heir {
            self.trace.tell(format!("an operator has redis-{} take over from redis-{}", heir + 1, primary + 1));
            self.take_over(heir);
        }
    }

    #[cfg(test)]
    pub fn allow_reads_when_down(&self) {
        self.with(|state| state.settings.reads_when_down = true);
    }
}

impl State {
    fn in_step(&self, me: usize) -> bool {
        let server = &self.servers[me];
        let alive = server.running() && server.state_ok;
        match server.master() {
            None => {
                let owned = server.view.owned_by(me).all(|unit| self.owner_of(unit) == me);
                let agreed = self.servers.iter().all(|other| other.view.owner == server.view.owner);
                alive && owned && agreed && server.migrating.is_empty()
            }
            Some(master) => {
                let primary = &self.servers[master];
                let attached = primary.replicas.get(&me).is_some_and(|attached| attached.online);
                alive && server.link.up() && primary.is_primary() && attached
            }
        }
    }
}
