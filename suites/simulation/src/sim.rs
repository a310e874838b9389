//! The ground under a world: one paused clock, one thread, one network, one seed.

use std::future::Future;

use crate::chance::Chance;
use crate::network::Net;
use crate::trace::Trace;

#[derive(Clone)]
pub struct Sim {
    pub net: Net,
    pub trace: Trace,
    pub chance: Chance,
}

/// Run `body` on a runtime of its own whose clock jumps to the next timer whenever nothing else can happen.
pub fn run<F: Future>(seed: u64, telling: bool, body: impl FnOnce(Sim) -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O needs nothing of the system");
    runtime.block_on(async {
        let chance = Chance::new(seed);
        body(Sim { net: Net::new(chance.fork("network")), trace: Trace::new(telling), chance }).await
    })
}
