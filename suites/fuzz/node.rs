//! A live node under fuzzed clients, while two well-behaved ones chat and lose nothing.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

use super::{
    Plan,
    grammar::{Grammar, PING},
};
use crate::{
    chat_node::ChatNode,
    http,
    stock_client::{Door, StockClient},
    wait::PATIENCE,
    warm::play,
};

const FUZZERS: u64 = 6;
const BATCHES: usize = 20;
const PIECES: usize = 8;
/// What the node may hold for one client: a payload as it comes, inflated, as a message and as JSON, each at most a
/// megabyte, and as much again on its way.
const PER_CLIENT: u64 = 8 << 20;
/// What an allocator keeps, and the log's own.
const SLACK: u64 = 64 << 20;

#[test]
fn a_fuzzed_node_goes_on_and_nobody_else_notices() {
    play(async {
        let plan = Plan::from_environment("a live node", 5_000);
        let flags = "--auth none --rate-limit 1000 --ping-interval 2s --ping-timeout 10s";
        let node = ChatNode::start(&flags.split(' ').collect::<Vec<_>>());
        let address = node.address().await;
        let (frames, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let chat = tokio::spawn(chat(address, over.clone()));
        let before = node.memory("VmRSS");
        let began = Instant::now();

        let mut fuzzers = JoinSet::new();
        for nth in 0..FUZZERS {
            let (frames, grammar) = (frames.clone(), Grammar::new(plan.seed, 1 + nth));
            fuzzers.spawn(fuzz(address, grammar, nth, frames, plan.frames));
        }
        while let Some(ended) = fuzzers.join_next().await {
            ended.expect("a fuzzer that did not panic");
        }
        over.store(true, Ordering::Relaxed);
        let said = chat.await.expect("a chat that did not panic");

        let (peak, took) = (node.memory("VmHWM"), began.elapsed());
        let frames = frames.load(Ordering::Relaxed);
        eprintln!("{frames} frames in {took:.1?}; {said} messages beside them; {} to {} MiB", before >> 20, peak >> 20);
        let log = node.log();
        let panic = log.iter().find(|line| line.contains("panicked") || line.contains("overflowed its stack"));
        assert!(panic.is_none(), "{panic:?}");
        assert_eq!(http::get(address, "/health", "").await.status, 200);
        assert!(peak <= before + FUZZERS * PER_CLIENT + SLACK, "from {before} to {peak} bytes");
    });
}

impl ChatNode {
    /// In bytes, as the kernel counts them.
    fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a node that runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")).expect("kB");
        kibibytes.parse::<u64>().expect("a number") << 10
    }
}

/// Ann says one thing after the other until it is over, and Bob hears each once and in order; how many it were.
async fn chat(address: SocketAddr, over: Arc<AtomicBool>) -> usize {
    let door = Door::beside(&address.to_string());
    let mut ann = StockClient::join(&door, "ann", "quiet", None).await.expect("ann is in");
    let mut bob = StockClient::join(&door, "bob", "quiet", None).await.expect("bob is in");
    let mut ids = Vec::new();
    while !over.load(Ordering::Relaxed) || ids.is_empty() {
        let id = format!("quiet-{}", ids.len());
        let answer = ann.send(&id, 1, PATIENCE).await.unwrap_or_else(|error| panic!("{id}: {error}"));
        assert!(answer.is_some(), "{id} was not acknowledged within {PATIENCE:?}");
        ids.push(id);
        let all = |received: &[Value]| received.len() >= ids.len();
        assert!(bob.read_until(PATIENCE, all).await, "bob has heard {} of {}", bob.received.len(), ids.len());
    }
    let heard: Vec<_> = bob.received.iter().filter_map(|said| said["id"].as_str()).collect();
    assert_eq!(heard, ids, "in order, nothing twice");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    ids.len()
}

async fn fuzz(address: SocketAddr, mut grammar: Grammar, nth: u64, frames: Arc<AtomicU64>, enough: u64) {
    let mut line = (nth == 0).then_some(0);
    while frames.load(Ordering::Relaxed) < enough || line.is_some() {
        let client = Fuzzed::connect(address, &mut grammar).await;
        if let Some(at) = line {
            let piece = grammar.line(at);
            line = piece.as_ref().map(|_| at + 1);
            if let Some(piece) = piece {
                client.end(piece.bytes).await;
                frames.fetch_add(1, Ordering::Relaxed);
            }
            continue;
        }
        client.play(&mut grammar, &frames).await;
    }
}

/// A connection whose other side has agreed to be a WebSocket.
struct Fuzzed {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    compressed: bool,
}

impl Fuzzed {
    async fn connect(address: SocketAddr, grammar: &mut Grammar) -> Fuzzed {
        let stream = TcpStream::connect(address).await.expect("a node that listens");
        stream.set_nodelay(true).expect("a socket");
        let (mut read, mut write) = stream.into_split();
        let offer = if grammar.percent(50) { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
        let request = format!(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: n\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{offer}\r\n"
        );
        write.write_all(request.as_bytes()).await.expect("a handshake");
        let mut answer = Vec::new();
        while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
            assert_ne!(read.read_buf(&mut answer).await.expect("an answer"), 0, "no answer to a handshake");
        }
        let answer = String::from_utf8_lossy(&answer).to_lowercase();
        assert!(answer.starts_with("http/1.1 101"), "{answer}");
        Fuzzed { read, write, compressed: answer.contains("permessage-deflate") }
    }

    /// Tame frames in batches, each read to its end before the next, then wild ones. Counted is what the node has read.
    async fn play(mut self, grammar: &mut Grammar, frames: &AtomicU64) {
        if grammar.percent(80) {
            let connect = grammar.frame(0x81, b"40{\"token\":\"fuzz\",\"room\":\"fuzz\"}");
            if self.write.write_all(&connect).await.is_err() {
                return;
            }
        }
        for batch in 0..BATCHES {
            let mark = format!("batch-{batch:06}-{:06}", grammar.up_to(999_999));
            let (mut bytes, mut count) = (Vec::new(), 0);
            for _ in 0..=grammar.up_to(PIECES) {
                let piece = grammar.tame(self.compressed);
                bytes.extend(piece.bytes);
                count += piece.frames;
            }
            bytes.extend(grammar.frame(0x80 | PING, mark.as_bytes()));
            if self.write.write_all(&bytes).await.is_err() || !self.until(mark.as_bytes()).await {
                // Which of them it did not like is not known: one it was.
                frames.fetch_add(1, Ordering::Relaxed);
                return;
            }
            frames.fetch_add(count, Ordering::Relaxed);
        }
        let piece = grammar.wild();
        frames.fetch_add(1, Ordering::Relaxed);
        self.end(piece.bytes).await;
    }

    /// Says a last thing, hangs up, and waits for the node to do the same.
    async fn end(mut self, bytes: Vec<u8>) {
        let _ = self.write.write_all(&bytes).await;
        let _ = self.write.shutdown().await;
        let mut into = vec![0; 64 << 10];
        let ended = async { while matches!(self.read.read(&mut into).await, Ok(1..)) {} };
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        assert!(ended.is_ok(), "a connection that was hung up stays open after {bytes:02x?}");
    }

    /// Whether the mark comes back; false is the connection's end.
    async fn until(&mut self, mark: &[u8]) -> bool {
        let mut seen = Vec::new();
        let found = async {
            loop {
                match self.read.read_buf(&mut seen).await {
                    Ok(1..) if seen.windows(mark.len()).any(|window| window == mark) => return true,
                    Ok(1..) => drop(seen.drain(..seen.len().saturating_sub(mark.len()))),
                    _ => return false,
                }
            }
        };
        tokio::time::timeout(3 * PATIENCE, found).await.expect("an answer to a ping, or an end")
    }
}
