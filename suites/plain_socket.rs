//! Engine.IO packets over a plain WebSocket, by hand: what is written is what was given, what is read is what came.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

pub(crate) const QUERY: &str = "EIO=4&transport=websocket";

pub(crate) struct PlainSocket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl PlainSocket {
    /// `address`: `host:port`. What the node says first is not read yet.
    pub(crate) async fn open(address: &str) -> Result<PlainSocket, String> {
        PlainSocket::open_with(address, QUERY).await
    }

    pub(crate) async fn open_with(address: &str, query: &str) -> Result<PlainSocket, String> {
        let (socket, _) = connect_async(format!("ws://{address}/socket.io/?{query}")).await.map_err(told)?;
        Ok(PlainSocket(socket))
    }

    /// A namespace joined with this `auth`; past the answer to it.
    pub(crate) async fn connected(address: &str, auth: &str) -> Result<PlainSocket, String> {
        let mut socket = PlainSocket::open(address).await?;
        socket.write(format!("40{auth}")).await?;
        loop {
            match socket.packet().await? {
                packet if packet.starts_with("40") => return Ok(socket),
                packet if packet.starts_with("44") => return Err(format!("refused: {packet}")),
                _ => {}
            }
        }
    }

    pub(crate) async fn write(&mut self, packet: impl Into<String>) -> Result<(), String> {
        self.0.send(Message::Text(packet.into().into())).await.map_err(told)
    }

    pub(crate) async fn write_binary(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.0.send(Message::Binary(bytes.to_vec().into())).await.map_err(told)
    }

    /// The next packet of text, pings included; an error at the end of the connection.
    pub(crate) async fn any_packet(&mut self) -> Result<String, String> {
        loop {
            let frame = self.0.next().await.ok_or("the node closed the connection")?;
            if let Message::Text(text) = frame.map_err(told)? {
                return Ok(text.as_str().to_owned());
            }
        }
    }

    /// The next packet; pings are answered.
    pub(crate) async fn packet(&mut self) -> Result<String, String> {
        loop {
            match self.any_packet().await? {
                ping if ping == "2" => self.write("3").await?,
                packet => return Ok(packet),
            }
        }
    }

    /// Whether the node ends the connection within that time, whatever it says before.
    pub(crate) async fn ends_within(&mut self, time: Duration) -> bool {
        let ended = async { while self.packet().await.is_ok_and(|packet| packet != "1") {} };
        tokio::time::timeout(time, ended).await.is_ok()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn told(error: tokio_tungstenite::tungstenite::Error) -> String {
    error.to_string()
}
