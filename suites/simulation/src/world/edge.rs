//! The outside world of a chat node: connections over the simulated network, the world's clock, seeded chances.

use std::io;
use std::sync::{Arc, Mutex};

use system_delivery::{Edge, RedisAddress};

use crate::chance::Chance;
use crate::model::Redis;
use crate::network::{Host, Stream};
use crate::sim::Sim;

#[derive(Clone)]
pub struct SimEdge {
    pub host: Host,
    pub sim: Sim,
    pub redis: Redis,
    pub epoch_ms: u64,
    pub chance: Arc<Mutex<Chance>>,
}

impl Edge for SimEdge {
    type Stream = Stream;

    async fn connect(&self, address: &RedisAddress) -> io::Result<Stream> {
        let unknown = || io::Error::new(io::ErrorKind::HostUnreachable, "no such server");
        let server = self.redis.server_at(&address.host, address.port).ok_or_else(unknown)?;
        self.sim.net.connect(self.host, self.redis.host_of(server)).await
    }

    fn now_ms(&self) -> u64 {
        self.epoch_ms + self.sim.trace.now_ms()
    }

    fn random(&self) -> u64 {
        self.chance.lock().expect("no panic while drawing").draw()
    }
}
