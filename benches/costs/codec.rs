//! What a node does with the words of one message: reads and checks what a client sent, writes what members get.

use std::hint::black_box;

use benches::core_time::CoreTime;
use criterion::{BenchmarkId, Criterion, Throughput};
use serde_json::Value;
use system_protocol::{ChatMessage, Offset, Submit};
use system_wire::frame;

/// Of the content, in UTF-16 units. The last is more than may be.
const UNITS: [usize; 4] = [10, 100, 1000, 100_000];

pub(crate) fn codec(bench: &mut Criterion<CoreTime>) {
    let mut group = bench.benchmark_group("system/codec");
    for units in UNITS {
        let payload = payload(units);
        let expected = units <= 1000;
        group.throughput(Throughput::Bytes(payload.len() as u64));
        group.bench_function(BenchmarkId::new("read and check", units), |bench| {
            bench.iter(|| {
                let value: Value = serde_json::from_str(black_box(&payload)).expect("JSON");
                assert_eq!(Submit::parse(&value).is_ok(), expected);
            });
        });
    }
    for units in [10, 100, 1000] {
        let message = message(units);
        group.throughput(Throughput::Bytes(units as u64));
        group.bench_function(BenchmarkId::new("write", units), |bench| {
            bench.iter(|| {
                let payload = serde_json::to_string(black_box(&message)).expect("what we say is JSON");
                frame::text(&format!("42[\"chat-message\",{payload}]"))
            });
        });
    }
    group.finish();
}

/// As clients write it, with a quote and an emoji to be escaped or not.
fn payload(units: usize) -> String {
    let content = text(units);
    let id = "0192f7a0-8b1c-7def-8a3b-1c2d3e4f5a6b";
    serde_json::json!({ "content": content, "id": id, "room": "general", "more": [1, 2, 3] }).to_string()
}

fn text(units: usize) -> String {
    let (mut text, mut left) = (String::new(), units);
    for next in "say \"hello\" 👋 to everybody. ".chars().cycle() {
        let Some(rest) = left.checked_sub(next.len_utf16()) else { break };
        text.push(next);
        left = rest;
    }
    text.push_str(&"x".repeat(left));
    text
}

fn message(units: usize) -> ChatMessage {
    let payload: Value = serde_json::from_str(&payload(units)).expect("JSON");
    let submit = Submit::parse(&payload).expect("a good message");
    ChatMessage {
        id: submit.id.expect("it has one"),
        room: submit.room.expect("it has one"),
        sender: system_protocol::UserId::parse("amelie").expect("a good name"),
        content: submit.content,
        timestamp: 1_764_000_000_000,
        offset: Offset::new(1_764_000_000_000, 3),
        traceparent: None,
    }
}
