//! The pair on the model.

use std::pin::Pin;

use redis::aio::MultiplexedConnection;
use tokio::time::{Duration, sleep};

use super::{Control, Pair, connection};
use crate::model::{Redis, Settings, WaitRule};
use crate::network::Host;
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

    fn fresh(&mut self) -> Pin<Box<dyn Future<Output = MultiplexedConnection> + '_>> {
        Box::pin(async { connection(self.sim.net.connect(CLIENT, self.redis.host_of(0)).await.unwrap()).await.0 })
    }
}

pub fn with_pair<F: Future>(rule: WaitRule, body: impl FnOnce(Pair) -> F) -> F::Output {
    run(1, false, |sim| async move {
        sim.net.set_up(CLIENT, true);
        let settings = Settings { shards: 1, replicas_per_shard: 1, wait_rule: rule, ..Settings::default() };
        let redis = Redis::start(settings, 10, &sim.net, &sim.trace, &sim.chance);
        while !redis.settled() {
            sleep(Duration::from_millis(10)).await;
        }
        let (primary, pushes) = connection(sim.net.connect(CLIENT, redis.host_of(0)).await.unwrap()).await;
        let (replica, _) = connection(sim.net.connect(CLIENT, redis.host_of(1)).await.unwrap()).await;
        let control = Box::new(Modelled { redis, sim });
        body(Pair { primary, replica, pushes, control }).await
    })
}
