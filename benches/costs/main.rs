//! What the parts of the system cost, and the checkers: criterion, in the time that the thread had a core, so that what
//! else the machine does is another matter.
//!
//! `just bench` measures and keeps a baseline, `just bench-compare REF` tells whether something became slower; as a test
//! (`cargo test`) each case runs once at smoke size, so that it cannot rot. A group is named by whom it is about.

mod broadcast;
mod codec;
mod compression;
mod durable;
mod judge;
mod memory;
mod sessions;

use benches::core_time::CoreTime;
use criterion::{Criterion, criterion_group, criterion_main};

/// Run as a test, criterion calls each case once; little is enough then.
fn smoke() -> bool {
    !std::env::args().any(|argument| argument == "--bench")
}

criterion_group! {
    name = costs;
    config = Criterion::default().with_measurement(CoreTime).sample_size(10);
    targets =
        codec::codec, compression::outgoing, compression::incoming, broadcast::broadcast, memory::memory, durable::log,
        judge::judging
}
criterion_main!(costs);
