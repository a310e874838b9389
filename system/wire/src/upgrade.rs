//! From an HTTP upgrade to the bare TCP stream.

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::{Parts, downcast};
use tokio::net::TcpStream;

/// The stream of an upgraded request and what was read of it already; the upgrade itself when something else than TCP
/// is below. For servers that accept with hyper-util's `auto` builder, as axum does: it wraps the stream in a private
/// type.
pub fn tcp(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    let Parts { io, read_buf, .. } = downcast::<TokioIo<TcpStream>>(upgraded)?;
    Ok((io.into_inner(), read_buf))
}
