//! One frame to everybody in a room, through the whole stream layer down to a transport that takes everything.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use benches::core_time::CoreTime;
use benches::corpus::{ROOMS, lines};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use system_wire::deflate::{self, Deflate};
use system_wire::{Batch, Connection, Passage, Room, Settings, Transport, Wire, frame};
use tokio::io::ReadBuf;
use tokio::runtime::Runtime;

use crate::smoke;

const OFFER: &str = "permessage-deflate; client_max_window_bits";
const SETTINGS: Settings =
    Settings { limit: 1 << 24, patience: Duration::from_secs(10), requests: 16, inspect: |_| Passage::Pass };

/// Takes everything; nothing comes from it.
struct Sink(Arc<AtomicU64>);

impl Transport for Sink {
    fn poll_read(&self, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_write(&self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn shutdown(&self) {}

    fn abort(&self) {}
}

struct Hall {
    room: Arc<Room>,
    writes: Arc<AtomicU64>,
    members: u64,
    /// Each as long as it is a member.
    _wires: Vec<Wire>,
}

impl Hall {
    fn new(members: usize, compressed: bool) -> Hall {
        let deflate = Deflate::new(deflate::Settings { threshold: 0, ..deflate::Settings::default() });
        let (room, writes) = (Room::new(Batch::new(), deflate.room()), Arc::default());
        let enter = |_| {
            let (connection, wire) = Connection::new(Arc::new(Sink(Arc::clone(&writes))), Bytes::new(), SETTINGS, ());
            let agreed = if compressed { deflate.negotiate([OFFER]).expect("a good offer") } else { None };
            let wire = wire.compressed(deflate.peer(agreed), 1 << 20);
            room.join(&connection).expect("it is open");
            wire
        };
        let wires = (0..members).map(enter).collect();
        Hall { room, writes, members: members as u64, _wires: wires }
    }

    /// Until each member was written to.
    async fn say(&self, frame: &Bytes) {
        let written = self.writes.load(Ordering::Relaxed) + self.members;
        assert_eq!(self.room.broadcast(frame) as u64, self.members);
        while self.writes.load(Ordering::Relaxed) < written {
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) fn broadcast(bench: &mut Criterion<CoreTime>) {
    let mut group = bench.benchmark_group("system/broadcast");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let all = lines(&ROOMS[0]).join(" ");
    for (form, compressed) in [("plain", false), ("compressed", true)] {
        for members in if smoke() { [2, 3] } else { [40, 500] } {
            for bytes in [200, 2_000, 20_000] {
                group.throughput(Throughput::Elements(members as u64));
                let name = BenchmarkId::new(format!("{form}, {bytes} bytes"), members);
                group.bench_function(name, |bench| {
                    let (hall, frames) =
                        (runtime.block_on(async { Hall::new(members, compressed) }), frames(&all, bytes));
                    bench.iter(|| say_all(&runtime, &hall, &frames));
                });
            }
        }
    }
    group.finish();
}

fn say_all(runtime: &Runtime, hall: &Hall, frames: &[Bytes]) {
    runtime.block_on(async {
        for frame in frames {
            hall.say(frame).await;
        }
    });
}

/// Ten of them, of the corpus.
fn frames(text: &str, bytes: usize) -> Vec<Bytes> {
    let part = |nth: usize| {
        let mut from = nth * bytes % (text.len() - bytes);
        while !text.is_char_boundary(from) {
            from += 1;
        }
        let mut to = from + bytes;
        while !text.is_char_boundary(to) {
            to -= 1;
        }
        frame::text(&text[from..to])
    };
    (0..10).map(part).collect()
}
