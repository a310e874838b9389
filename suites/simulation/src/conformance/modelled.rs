//! The same on the model.

use redis::aio::MultiplexedConnection;
use tokio::time::{Duration, sleep};

use super::{Control, Halves, Operator, Pair, STREAM_BLOCK, Soon, connection};
use crate::model::{Redis, Settings};
use crate::network::{Death, Host};
use crate::sim::{Sim, run};

const CLIENT: Host = Host(0);

struct Modelled {
    redis: Redis,
    sim: Sim,
}

impl Control for Modelled {
    fn pause_replica(&mut self, paused: bool) {
        if paused { self.redis.pause(1) } else { self.redis.wake(1) }
    }

    fn fresh(&mut self) -> Soon<'_, MultiplexedConnection> {
        Box::pin(async { connection(self.sim.net.connect(CLIENT, self.redis.host_of(0)).await.unwrap()).await.0 })
    }

    fn replace(&mut self) -> Soon<'_, ()> {
        Box::pin(async {
            // What was sent is there by then: a chunk is late by 3 ms at most.
            sleep(Duration::from_millis(100)).await;
            self.redis.take_over(1);
        })
    }

    fn kill_replica(&mut self) {
        self.redis.kill(1, Death::Process);
    }

    fn restart_primary(&mut self) {
        self.redis.kill(0, Death::Process);
        self.redis.restart(0);
    }
}

impl Operator for Modelled {
    fn begin(&mut self, slot: u16) -> Soon<'_, ()> {
        Box::pin(async move { assert!(self.redis.begin_migration(slot, 1), "slot {slot} does not move") })
    }

    fn move_key<'a>(&'a mut self, key: &'a str) -> Soon<'a, ()> {
        let slot = crate::model::slot_of(key.as_bytes());
        Box::pin(async move { assert!(self.redis.migrate_one(slot, 1), "{key} does not move") })
    }

    fn end(&mut self, slot: u16) -> Soon<'_, ()> {
        Box::pin(async move { self.redis.end_migration(slot, 1) })
    }

    fn pause_second(&mut self, paused: bool) {
        self.pause_replica(paused);
    }

    fn allow_reads_when_down(&mut self) -> Soon<'_, ()> {
        Box::pin(async { self.redis.allow_reads_when_down() })
    }
}

/// A settled cluster, and the first's and second's connection.
fn with_two<F: Future, B>(
    settings: Settings,
    build: fn(Modelled, [super::Connected; 2]) -> B,
    body: impl FnOnce(B) -> F,
) -> F::Output {
    run(1, false, |sim| async move {
        sim.net.set_up(CLIENT, true);
        let redis =
            Redis::start(Settings { stream_block: STREAM_BLOCK, ..settings }, 10, &sim.net, &sim.trace, &sim.chance);
        while !redis.settled() {
            sleep(Duration::from_millis(10)).await;
        }
        let first = connection(sim.net.connect(CLIENT, redis.host_of(0)).await.unwrap()).await;
        let second = connection(sim.net.connect(CLIENT, redis.host_of(1)).await.unwrap()).await;
        body(build(Modelled { redis, sim }, [first, second])).await
    })
}

pub fn with_pair<F: Future>(settings: Settings, body: impl FnOnce(Pair) -> F) -> F::Output {
    let settings = Settings { shards: 1, replicas_per_shard: 1, ..settings };
    with_two(settings, |control, connected| Pair::of(Box::new(control), connected), body)
}

pub fn with_halves<F: Future>(settings: Settings, slot: u16, body: impl FnOnce(Halves) -> F) -> F::Output {
    let settings = Settings { shards: 2, replicas_per_shard: 0, single_slots: vec![slot], ..settings };
    with_two(settings, |operator, connected| Halves::of(Box::new(operator), connected), body)
}
