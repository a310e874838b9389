//! The WebSocket: the only place that touches the network.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use system_protocol::limits;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::dialect::Speech;
use crate::{Dialect, Node, Why};

/// Small: a process may run a thousand clients, and the library's own choice is 128 KiB each way.
const BUFFER: usize = 8 * 1024;
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// TCP, or TLS over it.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

pub(crate) struct Link {
    socket: WebSocketStream<Box<dyn Wire>>,
    speech: Option<Speech>,
}

impl Link {
    pub(crate) async fn dial(
        node: &Node,
        tls: Option<Arc<ClientConfig>>,
        dialect: Option<Arc<dyn Dialect>>,
    ) -> Result<Link, Why> {
        let stream = TcpStream::connect(&node.authority).await.map_err(|e| Why::Lost(e.to_string()))?;
        stream.set_nodelay(true).map_err(|e| Why::Lost(e.to_string()))?;
        let stream = secured(stream, node, tls).await.map_err(|e| Why::Lost(e.to_string()))?;
        let path = dialect.as_ref().map_or(limits::PATH, |dialect| dialect.path());
        let url = format!("{node}{path}?EIO=4&transport=websocket");
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_message_size(Some(limits::PAYLOAD_BYTES))
            .max_frame_size(Some(limits::PAYLOAD_BYTES));
        let (socket, _) = client_async_with_config(url, stream, Some(config)).await.map_err(why)?;
        Ok(Link { socket, speech: dialect.map(|dialect| Speech::new(dialect.open())) })
    }

    /// Cancel-safe: what was read in part stays in the socket's buffer.
    pub(crate) async fn read(&mut self) -> Result<Utf8Bytes, Why> {
        loop {
            if let Some(frame) = self.speech.as_mut().and_then(Speech::heard) {
                return Ok(frame.into());
            }
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => match &mut self.speech {
                    Some(speech) => speech.incoming(&text),
                    None => return Ok(text),
                },
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Err(Why::Goodbye),
                Some(Ok(Message::Binary(_) | Message::Frame(_))) => {
                    return Err(Why::Malformed("binary frame".to_owned()));
                }
                Some(Err(error)) => return Err(why(error)),
            }
        }
    }

    /// Something must be written that the session knows nothing of.
    pub(crate) fn has_unsaid(&self) -> bool {
        self.speech.as_ref().is_some_and(Speech::has_unsaid)
    }

    fn said(&mut self, frames: Vec<String>) -> Vec<String> {
        let Some(speech) = &mut self.speech else { return frames };
        for frame in &frames {
            speech.outgoing(frame);
        }
        speech.unsaid()
    }

    /// A node that takes nothing for as long as it may be silent is gone.
    pub(crate) async fn write(&mut self, frames: Vec<String>, patience: Duration) -> Result<(), Why> {
        let frames = self.said(frames);
        let written = tokio::time::timeout(patience, async {
            for frame in frames {
                self.socket.feed(Message::text(frame)).await?;
            }
            self.socket.flush().await
        });
        match written.await {
            Ok(written) => written.map_err(why),
            Err(_) => Err(Why::Silent(patience)),
        }
    }

    /// Best effort: the node notices a missing goodbye too.
    pub(crate) async fn goodbye(mut self, last: &'static str) {
        let last = self.said(vec![last.to_owned()]);
        let _ = tokio::time::timeout(GOODBYE, async {
            for frame in last {
                self.socket.feed(Message::text(frame)).await?;
            }
            self.socket.close(None).await
        })
        .await;
    }
}

async fn secured(stream: TcpStream, node: &Node, tls: Option<Arc<ClientConfig>>) -> io::Result<Box<dyn Wire>> {
    if !node.tls {
        return Ok(Box::new(stream));
    }
    let tls = tls.ok_or_else(|| io::Error::other("TLS is not set up"))?;
    let name = ServerName::try_from(node.host().to_owned()).map_err(io::Error::other)?;
    Ok(Box::new(TlsConnector::from(tls).connect(name, stream).await?))
}

fn why(error: Error) -> Why {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => Why::Goodbye,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete) => {
            Why::Lost(error.to_string())
        }
        Error::Protocol(_) | Error::Utf8(_) | Error::Capacity(_) => Why::Malformed(error.to_string()),
        other => Why::Lost(other.to_string()),
    }
}
