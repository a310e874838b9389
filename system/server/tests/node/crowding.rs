//! One address does not take all the places: neither by many connections nor by slow ones.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{PATIENCE, Server};

const UPGRADE: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: n\r\nConnection: Upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

/// The answer's status, and the connection.
async fn upgrade(server: &Server, forwarded: &str) -> (u16, TcpStream) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let forwarded = if forwarded.is_empty() { String::new() } else { format!("X-Forwarded-For: {forwarded}\r\n") };
    stream.write_all(format!("{UPGRADE}{forwarded}\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut answer)).await.expect("an answer");
        assert_ne!(read.unwrap(), 0, "no answer");
    }
    (String::from_utf8_lossy(&answer)[9..12].parse().unwrap(), stream)
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_other_pays_for_it() {
    let server = Server::open(&["--connections-per-address", "3", "--trusted-proxies", "127.0.0.1"]).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let (status, stream) = upgrade(&server, "9.9.9.9").await;
        assert_eq!(status, 101);
        held.push(stream);
    }
    assert_eq!(upgrade(&server, "9.9.9.9").await.0, 429);
    assert_eq!(upgrade(&server, "1.1.1.1, 9.9.9.9").await.0, 429, "what the client itself wrote is not believed");
    assert!((server.metric("chat_connections_crowded_total").await - 2.0).abs() < 0.5);
    let others = [upgrade(&server, "8.8.8.8").await.0, upgrade(&server, "").await.0];
    assert_eq!(others, [101, 101]);
    held.pop();
    server.metric_once("chat_connections", |connections| connections < 2.5).await;
    assert_eq!(upgrade(&server, "9.9.9.9").await.0, 101, "a place that was left is free again");
}
