//! How many deliveries a second the checkers judge, all rules together, on one core. What is timed is [`judge`] alone:
//! reading a history from its file is another matter.

use std::hint::black_box;

use benches::{
    chat::{Chat, Kind},
    core_time::CoreTime,
};
use chaos_checkers::{Contract, Outcome, Question, judge};
use criterion::{BenchmarkId, Criterion, Throughput};

use crate::smoke;

/// As in a drill, then many small rooms, then one large one.
const SHAPES: [(&str, Chat); 3] = [
    ("12 rooms × 20", Chat { rooms: 12, members: 20, messages: 8_000 }),
    ("100 rooms × 40", Chat { rooms: 100, members: 40, messages: 500 }),
    ("1 room × 500", Chat { rooms: 1, members: 500, messages: 4_000 }),
];

pub(crate) fn judging(bench: &mut Criterion<CoreTime>) {
    let mut group = bench.benchmark_group("chaos/judge");
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
