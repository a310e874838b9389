//! The contract in memory: an append with everybody in the room, and a resume.

use benches::core_time::CoreTime;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use system_delivery::{Config, Memory, Silent};
use tokio::runtime::Builder;

use crate::sessions::{append, member, resume, room};

const MESSAGES: usize = 1000;

pub(crate) fn memory(bench: &mut Criterion<CoreTime>) {
    let mut group = bench.benchmark_group("system/memory");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (start, room) =
        (|| Memory::start(Config::new(Vec::new()), || 1_764_000_000_000, std::sync::Arc::new(Silent)), room("general"));
    for members in [1, 40] {
        group.throughput(Throughput::Elements(MESSAGES as u64));
        group.bench_function(BenchmarkId::new("append and deliver", members), |bench| {
            let fresh = || {
                runtime.block_on(async {
                    let memory = start();
                    let mut sessions = Vec::new();
                    for _ in 0..members {
                        sessions.push(member(&memory, &room, None).await);
                    }
                    (memory, sessions)
                })
            };
            let say = |(memory, sessions)| {
                runtime.block_on(append(&memory, &room, MESSAGES));
                (memory, sessions)
            };
            bench.iter_batched(fresh, say, BatchSize::PerIteration);
        });
    }
    for behind in [1, 100, MESSAGES] {
        group.throughput(Throughput::Elements(behind as u64));
        group.bench_function(BenchmarkId::new("resume", behind), |bench| {
            let (memory, offsets) = runtime.block_on(async {
                let memory = start();
                let offsets = append(&memory, &room, MESSAGES + 1).await;
                (memory, offsets)
            });
            bench.iter(|| runtime.block_on(resume(&memory, &room, &offsets, behind)));
        });
    }
    group.finish();
}
