//! Plain HTTP/1.1, as little of it as the suites need: one request on a connection of its own, its answer whole.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and headers in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Asks with `GET`; `headers` are whole lines, each with its line break.
pub(crate) async fn get(address: SocketAddr, path: &str, headers: &str) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
    get_over(stream, path, headers).await
}

/// The same from an address of this machine's own choosing.
pub(crate) async fn get_from(from: Ipv4Addr, address: SocketAddr, path: &str, headers: &str) -> Answer {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).unwrap_or_else(|error| panic!("{from}: {error}"));
    let stream = socket.connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
    get_over(stream, path, headers).await
}

async fn get_over(mut stream: TcpStream, path: &str, headers: &str) -> Answer {
    let host = stream.peer_addr().expect("a peer");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("a question");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}
