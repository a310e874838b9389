//! CPU of compression per delivery, on the chat corpus: once per broadcast with the room's context, once per broadcast
//! alone, and with a context for each member as other servers have it. And what it costs to inflate.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use benches::{
    core_time::CoreTime,
    corpus::{ROOMS, lines},
};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use flate2::{Compress, Compression, FlushCompress};
use system_wire::deflate::{Decoder, Deflate, Peer, Settings};
use system_wire::frame;

use crate::smoke;

const CONTEXT: &str = "permessage-deflate; client_max_window_bits";
const NO_CONTEXT: &str = "permessage-deflate; server_no_context_takeover";
const NONE: &str = "";

/// Every message of the corpus's first room to each of the members; returns the bytes sent.
fn broadcast(deflate: &Arc<Deflate>, members: &mut [Peer], frames: &[Bytes]) -> usize {
    let room = deflate.room();
    let now = Instant::now();
    let mut sent = 0;
    for frame in frames {
        let broadcast = room.broadcast(frame.clone(), now);
        sent += members.iter_mut().map(|member| black_box(broadcast.frame(member)).len()).sum::<usize>();
    }
    sent
}

fn context_each(members: &mut [Compress], payloads: &[String]) -> usize {
    let mut out = Vec::with_capacity(64 * 1024);
    let mut sent = 0;
    for payload in payloads {
        for member in &mut *members {
            out.clear();
            member.compress_vec(payload.as_bytes(), &mut out, FlushCompress::Sync).expect("memory takes it");
            sent += black_box(&out).len();
        }
    }
    sent
}

pub(crate) fn outgoing(bench: &mut Criterion<CoreTime>) {
    let mut group = bench.benchmark_group("system/compression");
    let payloads = lines(&ROOMS[0]);
    let payloads = &payloads[..if smoke() { 10 } else { payloads.len() }];
    let frames: Vec<_> = payloads.iter().map(|payload| frame::text(payload)).collect();
    let deflate = Deflate::new(Settings { threshold: 0, ..Settings::default() });
    for members in [1, 40, 500] {
        group.throughput(Throughput::Elements(payloads.len() as u64 * members));
        for (name, offer) in [("plain", NONE), ("room's context", CONTEXT), ("alone", NO_CONTEXT)] {
            let agreed = deflate.negotiate([offer]).expect("a good offer");
            let mut peers: Vec<_> = (0..members).map(|_| deflate.peer(agreed)).collect();
            group.bench_function(BenchmarkId::new(name, members), |bench| {
                bench.iter(|| broadcast(&deflate, &mut peers, &frames));
            });
        }
    }
    group.finish();
    // What others do; it is not ours to become slower.
    let mut group = bench.benchmark_group("peers/compression");
    let mut members: Vec<_> = (0..40).map(|_| Compress::new(Compression::default(), false)).collect();
    group.throughput(Throughput::Elements(payloads.len() as u64 * 40));
    group.bench_function(BenchmarkId::new("a context each", 40), |bench| {
        bench.iter(|| context_each(&mut members, payloads));
    });
    group.finish();
}

pub(crate) fn incoming(bench: &mut Criterion<CoreTime>) {
    let mut group = bench.benchmark_group("system/inflation");
    for length in [200, 20_000, 900_000] {
        let text = lines(&ROOMS[0]).concat().repeat(8);
        let mut payload = Vec::with_capacity(length + 1024);
        let mut compressor = Compress::new(Compression::default(), false);
        compressor.compress_vec(&text.as_bytes()[..length], &mut payload, FlushCompress::Sync).expect("room enough");
        let frame = [&[0xc2, 0xff][..], &(payload.len() as u64 - 4).to_be_bytes(), &[0; 4], &payload].concat();
        let frame = &frame[..frame.len() - 4];
        let (mut decoder, mut into) = (Decoder::new(1_000_000), vec![0; 64 * 1024]);
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::from_parameter(length), |bench| {
            bench.iter(|| {
                decoder.push(frame);
                while decoder.read(&mut into).expect("a good message") > 0 {}
            });
        });
    }
    group.finish();
}
