//! From the listening socket to requests: TCP, TLS when there is a certificate, HTTP/1.1.
//!
//! Our own loop around hyper, because a client that connects and says nothing must be dropped, in each step; axum's
//! waits for ever, as does hyper-util's `auto` builder for the first byte. Every connection is a task until it is
//! upgraded, and ends with the node.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::reload::Watched;

/// A request's head; browsers send a few KiB at most.
const HEAD: usize = 64 * 1024;
/// When there are no descriptors left, some may be free a little later.
const BREATH: Duration = Duration::from_millis(100);

pub(crate) struct Listener {
    pub(crate) tcp: TcpListener,
    /// Who comes after a change gets the new certificate.
    pub(crate) tls: Option<Arc<Watched<ServerConfig>>>,
    pub(crate) app: Router,
    /// For the TLS handshake, and for each request's head, the first included.
    pub(crate) handshake_timeout: Duration,
}

impl Listener {
    /// Never returns.
    pub(crate) async fn serve(self) {
        let listener = Arc::new(self);
        let mut connections = JoinSet::new();
        let mut refused = false;
        loop {
            tokio::select! {
                biased;
                Some(_) = connections.join_next() => {}
                accepted = listener.tcp.accept() => match accepted {
                    Ok((stream, peer)) => {
                        refused = false;
                        connections.spawn(Arc::clone(&listener).connection(stream, peer));
                    }
                    Err(error) if is_the_clients(&error) => {}
                    Err(error) => {
                        if !std::mem::replace(&mut refused, true) {
                            tracing::error!(%error, "connections cannot be accepted");
                        }
                        tokio::time::sleep(BREATH).await;
                    }
                },
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        // Chat frames are small and nobody should wait for the next one.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else { return self.requests(TokioIo::new(stream), peer).await };
        let handshake = TlsAcceptor::from(tls.current()).accept(stream);
        match tokio::time::timeout(self.handshake_timeout, handshake).await {
            Ok(Ok(stream)) => self.requests(TokioIo::new(stream), peer).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
            Err(_) => tracing::debug!(%peer, "no TLS in time"),
        }
    }

    async fn requests<S: Read + Write + Unpin + Send + 'static>(&self, stream: S, peer: SocketAddr) {
        let app = TowerToHyperService::new(self.app.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            app.call(request)
        });
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(self.handshake_timeout).max_buf_size(HEAD);
        if let Err(error) = server.serve_connection(stream, service).with_upgrades().await {
            tracing::debug!(%peer, %error, "a connection failed");
        }
    }
}

/// It was gone before we came to it.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
