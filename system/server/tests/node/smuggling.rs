//! Requests that a proxy and a node might read differently: each is refused, or read in the one way there is.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{PATIENCE, Server};

/// Everything that is answered to these bytes, until the node closes.
async fn answers(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset after the answer is an end, too.
    let _ = read.unwrap_or_else(|_| panic!("kept open after {:?}", String::from_utf8_lossy(&answer)));
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answers: &str) -> Vec<u16> {
    let lines = answers.lines().filter_map(|line| line.split("HTTP/1.1 ").nth(1));
    lines.map(|rest| rest[..3].parse().unwrap()).collect()
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused() {
    let server = Server::open(&[]).await;
    for head in [
        // Two hosts, or none: whose page an Origin is compared with.
        "Host: a.example\r\nHost: b.example",
        "Accept: x",
        "Host: a.example/path",
        // A field that goes on in the next line.
        "Host: n\r\nX-Forwarded-For: 1.2.3.4,\r\n 5.6.7.8",
        "Host: n\r\n X-Forwarded-For: 5.6.7.8",
        // A blank before the colon, and what is no name.
        "Host: n\r\nContent-Length : 5",
        "Host: n\r\nTransfer-Encoding : chunked",
        "Host: n\r\n: x",
        "Host: n\r\nX Y: z",
        "Host: n\r\nX: a\0b",
        "Host: n\r\nX: a\rb",
        // How long is the body?
        "Host: n\r\nContent-Length: 5\r\nContent-Length: 6",
        "Host: n\r\nContent-Length: 5, 6",
        "Host: n\r\nContent-Length: +5",
        "Host: n\r\nContent-Length: 0x5",
        "Host: n\r\nContent-Length: -1",
        "Host: n\r\nContent-Length: 99999999999999999999",
        "Host: n\r\nTransfer-Encoding: xchunked",
        "Host: n\r\nTransfer-Encoding: chunked, identity",
        "Host: n\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        "Host: n\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
    ] {
        let request = format!("GET /health HTTP/1.1\r\n{head}\r\n\r\n0\r\n\r\nGET /ready HTTP/1.1\r\nHost: n\r\n\r\n");
        let answer = answers(&server, request.as_bytes()).await;
        assert_eq!(statuses(&answer), [400], "{head:?}: {answer}");
    }
    for line in [
        "GET /health HTTP/1.1 ",
        "GET  /health HTTP/1.1",
        "GET /health HTTP/9.1",
        "G\0T /health HTTP/1.1",
        // A second host.
        "GET http://evil/health HTTP/1.1",
    ] {
        let answer = answers(&server, format!("{line}\r\nHost: n\r\n\r\n").as_bytes()).await;
        assert_eq!(statuses(&answer), [400], "{line:?}: {answer}");
    }
}

/// RFC 9112, section 2.2, allows it, and hyper does; no field hides behind one.
#[tokio::test]
async fn a_bare_line_feed_ends_a_line() {
    let server = Server::open(&[]).await;
    for (head, status) in [
        ("GET /health HTTP/1.1\nHost: n\nConnection: close\n\n", 200),
        ("GET /health HTTP/1.1\r\nHost: n\r\nX: y\nHost: evil\r\n\r\n", 400),
        ("GET /health HTTP/1.1\r\nHost: n\r\nX: y\nContent-Length: 5\r\n\r\n", 400),
    ] {
        let answer = answers(&server, head.as_bytes()).await;
        assert_eq!(statuses(&answer), [status], "{head:?}: {answer}");
    }
}

#[tokio::test]
async fn a_body_is_never_a_request() {
    let server = Server::open(&[]).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: n\r\n\r\n";
    let (length, chunk) = (smuggled.len(), format!("{:x}", smuggled.len()));
    let last = "GET /ready HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n";
    for body in [
        format!("Content-Length: {length}\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{chunk}\r\n{smuggled}\r\n0\r\n\r\n"),
    ] {
        let request = format!("GET /health HTTP/1.1\r\nHost: n\r\n{body}{last}");
        let answer = answers(&server, request.as_bytes()).await;
        assert_eq!(statuses(&answer), [400], "{body:?}: {answer}");
    }
}

/// What follows an upgrade is WebSocket, and what follows a refused one is no secret way in.
#[tokio::test]
async fn nothing_rides_behind_an_upgrade() {
    let server = Server::open(&[]).await;
    let upgrade = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: n\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let smuggled = "GET /health HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n";
    let answer = answers(&server, format!("{upgrade}\r\n{smuggled}").as_bytes()).await;
    assert_eq!(statuses(&answer), [101], "{answer}");
    assert!(!answer.contains("healthy"), "{answer}");
    let body = format!("{upgrade}Content-Length: {}\r\n\r\n{smuggled}", smuggled.len());
    let answer = answers(&server, body.as_bytes()).await;
    assert!(!answer.contains("healthy"), "{answer}");
}

#[tokio::test]
async fn heads_without_an_end_are_cut_short() {
    let server = Server::open(&[]).await;
    let many = "X: y\r\n".repeat(1000);
    let long = format!("X: {}\r\n", "y".repeat(1 << 20));
    for head in [many, long] {
        let answer = answers(&server, format!("GET /health HTTP/1.1\r\nHost: n\r\n{head}\r\n").as_bytes()).await;
        assert_eq!(statuses(&answer), [431], "{}", &answer[..answer.len().min(200)]);
    }
    assert_eq!(server.get("/health").await.status, 200);
}
