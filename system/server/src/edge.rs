//! The log's outside world in production: TCP or TLS, the system's clock, its randomness.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use system_delivery::{Edge, RedisAddress};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// By the system's clock.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Milliseconds since 1970, by the system's clock.
pub(crate) fn unix_ms() -> u64 {
    since_1970().as_millis() as u64
}

/// Connects as the settings say.
#[derive(Clone)]
pub(crate) struct TcpEdge {
    tls: Option<TlsConnector>,
}

impl TcpEdge {
    pub(crate) fn new(tls: Option<Arc<ClientConfig>>) -> Self {
        TcpEdge { tls: tls.map(TlsConnector::from) }
    }
}

impl Edge for TcpEdge {
    type Stream = Stream;

    async fn connect(&self, address: &RedisAddress) -> io::Result<Stream> {
        let stream = TcpStream::connect((&*address.host, address.port)).await?;
        stream.set_nodelay(true)?;
        if !address.tls {
            return Ok(Stream::Plain(stream));
        }
        let tls = self.tls.as_ref().ok_or_else(|| io::Error::other("TLS is not set up"))?;
        let name = ServerName::try_from(address.host.to_string()).map_err(io::Error::other)?;
        let stream = tls.connect(name, stream).await.map_err(untrusted)?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    fn now_ms(&self) -> u64 {
        unix_ms()
    }

    /// The standard library's hash keys are random in every process, and differ in every call.
    fn random(&self) -> u64 {
        RandomState::new().build_hasher().finish()
    }
}

/// Says what to look at where TLS failed for good; a connection that broke stays what it is.
fn untrusted(error: io::Error) -> io::Error {
    let hint = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => "its certificate is not trusted (--redis-ca-file)",
        Some(rustls::Error::InvalidMessage(_)) => "does it speak TLS? (it may want redis://, not rediss://)",
        Some(_) => "no TLS with it",
        None => return error,
    };
    io::Error::new(io::ErrorKind::InvalidData, format!("{hint}: {error}"))
}

/// A connection to one Redis node.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
