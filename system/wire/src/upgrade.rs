//! The switch from HTTP to WebSocket: its answer, and the bare stream below it.

use bytes::Bytes;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::{Parts, downcast};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::deflate::Agreement;

/// 101 for this `Sec-WebSocket-Key`, with the compression that was agreed on (RFC 6455, section 4.2.2).
pub fn switching<B: Default>(key: &HeaderValue, agreed: Option<Agreement>) -> Response<B> {
    let mut answer = Response::new(B::default());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let text = |text: String| HeaderValue::try_from(text).expect("base64, or names and numbers");
    headers.insert(SEC_WEBSOCKET_ACCEPT, text(derive_accept_key(key.as_bytes())));
    if let Some(agreed) = agreed {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, text(agreed.to_string()));
    }
    answer
}

/// The stream of an upgraded request and what was read of it already; the upgrade itself when another kind of stream is
/// below. For servers that accept with hyper, or as axum does with hyper-util's `auto` builder, which wraps the stream
/// in a private type.
pub fn stream<S>(upgraded: Upgraded) -> Result<(S, Bytes), Upgraded>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match upgraded.downcast::<TokioIo<S>>() {
        Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => {
            let Parts { io, read_buf, .. } = downcast::<TokioIo<S>>(upgraded)?;
            Ok((io.into_inner(), read_buf))
        }
    }
}

/// As [`stream`], for the usual kind.
pub fn tcp(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    stream(upgraded)
}
