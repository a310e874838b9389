//! How many deliveries a second the checkers judge, all rules together, on one core.
//!
//! `cargo bench -p benches --bench checkers` measures; as a test (`cargo test --benches`) each case runs once at smoke
//! size, so that it cannot rot. What is timed is [`judge`] alone, in the time that its thread had a core: reading a
//! history from its file is another matter, and so is what else the machine does.

use std::hint::black_box;

use benches::{
    chat::{Chat, Kind},
    core_time::CoreTime,
};
use chaos_checkers::{Contract, Outcome, Question, judge};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// As in a drill, then many small rooms, then one large one.
const SHAPES: [(&str, Chat); 3] = [
    ("12 rooms × 20", Chat { rooms: 12, members: 20, messages: 8_000 }),
    ("100 rooms × 40", Chat { rooms: 100, members: 40, messages: 500 }),
    ("1 room × 500", Chat { rooms: 1, members: 500, messages: 4_000 }),
];

fn judging(bench: &mut Criterion<CoreTime>) {
    let mut group = bench.benchmark_group("judge");
    group.sample_size(10);
    for (name, shape) in SHAPES {
        for kind in [Kind::Log, Kind::WithoutOffsets, Kind::Lossy] {
            let history = shape.sized(smoke()).history(kind);
            let question = Question::of(Contract::AckedIsDurable);
            let expected = if kind == Kind::Lossy { Outcome::Fail } else { Outcome::Pass };
            assert_eq!(judge(&history, &question).outcome, expected, "{name} {kind:?}");
            group.throughput(Throughput::Elements(history.receipts()));
            group.bench_function(BenchmarkId::new(name, format!("{kind:?}")), |bench| {
                bench.iter(|| judge(black_box(&history), &question));
            });
        }
    }
    group.finish();
}

/// Run as a test, criterion calls each case once; a small history is enough then.
fn smoke() -> bool {
    !std::env::args().any(|argument| argument == "--bench")
}

criterion_group! {
    name = checkers;
    config = Criterion::default().with_measurement(CoreTime);
    targets = judging
}
criterion_main!(checkers);
