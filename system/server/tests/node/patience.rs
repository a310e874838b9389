//! Who connects and does not go on is dropped, at each step.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::server::{PATIENCE, Server, Stream};
use crate::tls::Pair;

const STEP: Duration = Duration::from_millis(300);
/// Pings do not matter here: who does not answer them is dropped for that.
const SETTING: [&str; 6] = ["--handshake-timeout", "300ms", "--ping-interval", "1h", "--ping-timeout", "1h"];

/// Returns when the node has ended the connection, which it may not do at once. `began`: before it could be asked for.
async fn dropped(began: Instant, mut stream: impl Stream, said: &[u8]) {
    stream.write_all(said).await.unwrap();
    let mut answer = Vec::new();
    // Refused by reset or by an end: both end it.
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let said = String::from_utf8_lossy(said);
    assert!(end.is_ok(), "{said:?} is still waited for");
    assert!(began.elapsed() >= STEP, "{said:?} was given {:?}", began.elapsed());
}

#[tokio::test]
async fn a_client_that_does_not_go_on_is_dropped_at_each_step() {
    let server = Server::open(&SETTING).await;
    let tcp = || async { TcpStream::connect(server.address).await.unwrap() };
    let mut ann = Client::join(&server, "ann").await;
    let asked = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    let began = Instant::now();
    tokio::join!(
        async { dropped(began, tcp().await, b"").await },
        async { dropped(began, tcp().await, b"GET /health HT").await },
        async { dropped(began, tcp().await, b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ").await },
        // Between two requests, too.
        async { dropped(began, tcp().await, asked).await },
        // A transport that never becomes a session.
        async { dropped(began, Client::dial(&server).await.into_stream(), b"").await },
    );
    assert!(ann.call("chat-message", json!({ "content": "a session has no such limit" })).await["error"].is_null());
}

/// It asks, and asks again, until the node hangs up; it never reads.
async fn only_asks(mut stream: impl Stream) {
    let asked = b"GET /metrics HTTP/1.1\r\nHost: n\r\n\r\n".repeat(50);
    let asking = async { while stream.write_all(&asked).await.is_ok() {} };
    assert!(tokio::time::timeout(PATIENCE, asking).await.is_ok(), "who never reads an answer keeps the connection");
}

#[tokio::test]
async fn a_client_that_never_reads_its_answers_is_dropped() {
    let setting = ["--ping-interval", "1h", "--ping-timeout", "300ms"];
    let (plain, tls) = (Server::open(&setting).await, Pair::make().serve(&setting).await);
    for server in [&plain, &tls] {
        only_asks(server.narrow_stream().await).await;
        assert_eq!(server.get("/health").await.status, 200);
    }
}

/// Into its room more is said than kernels take, and no more than may wait for it: only the time is left to end it.
async fn only_listens(server: &Server) {
    let mut deaf = Client::dial_narrow(server).await;
    deaf.connect(&json!({ "token": "deaf" })).await;
    deaf.event("joined").await;
    // The first ping comes at once, and there is no other in this hour.
    while deaf.pings == 0 {
        deaf.read().await;
    }
    let mut ann = Client::join(server, "ann").await;
    let (filling, mut said) = ("\u{20ac}".repeat(990), 0);
    while server.metric(WAITED).await < 1e6 && server.metric(SLOW).await < 0.5 {
        for _ in 0..100 {
            ann.call("chat-message", json!({ "content": filling })).await;
        }
        ann.inbox.clear();
        said += 100;
        assert!(said < 20_000, "nothing waits");
    }
    server.metric_once(SLOW, |closed| closed > 0.5).await;
    server.metric_once("chat_connections", |connections| connections < 1.5).await;
    assert!(ann.call("chat-message", json!({ "content": "who reads stays" })).await["error"].is_null());
}

const WAITED: &str = "chat_send_buffer_peak_bytes";
const SLOW: &str = "chat_slow_consumers_total";

#[tokio::test]
async fn a_websocket_that_takes_nothing_is_dropped_after_the_ping_timeout() {
    let setting = ["--ping-interval", "1h", "--ping-timeout", "1s", "--rate-limit", "1000000"];
    let (plain, tls) = (Server::open(&setting).await, Pair::make().serve(&setting).await);
    tokio::join!(only_listens(&plain), only_listens(&tls));
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_tls_handshake_is_dropped() {
    let pair = Pair::make();
    let server = pair.serve(&SETTING).await;
    let tcp = || async { TcpStream::connect(server.address).await.unwrap() };
    let began = Instant::now();
    tokio::join!(
        async { dropped(began, tcp().await, b"").await },
        // The head of a record of a handshake, and no more of it.
        async { dropped(began, tcp().await, &[22, 3, 1, 2, 0, 1]).await },
        async { dropped(began, server.stream().await, b"GET /health HT").await },
    );
    assert_eq!(server.get("/health").await.status, 200);
}
