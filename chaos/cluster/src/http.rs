//! One GET, to see whether a chat node serves.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The status and the first bytes of what came with it, as text. The deadline is the caller's.
pub(crate) async fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    ask(TcpStream::connect(address).await?, address, path).await
}

/// The same on a connection that is there.
pub(crate) async fn ask(mut stream: TcpStream, address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
    status.map(|status| (status, body.to_owned())).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
