//! From the listening socket to requests: TCP, TLS when there is a certificate, HTTP/1.1.
//!
//! Our own loop around hyper, because a client that connects and says nothing must be dropped, in each step; axum's
//! waits for ever, as does hyper-util's `auto` builder for the first byte. So must one that asks and never reads, and
//! one address does not get all the connections. Each is a task until it is upgraded, and ends with the node.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::http::{Crowd, Place};
use crate::reload::Watched;
use crate::telemetry::{Metrics, add};
use crate::write_timeout::WriteTimeout;

/// A request's head; browsers send a few KiB at most.
const HEAD: usize = 64 * 1024;
/// When there are no descriptors left, some may be free a little later.
const BREATH: Duration = Duration::from_millis(100);

pub(crate) struct Listener {
    pub(crate) tcp: TcpListener,
    /// Who comes after a change gets the new certificate.
    pub(crate) tls: Option<Arc<Watched<ServerConfig>>>,
    pub(crate) app: Router,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) metrics: Arc<Metrics>,
    /// For the TLS handshake, and for each request's head, the first included.
    pub(crate) handshake_timeout: Duration,
    /// How long a client may take no byte of an answer.
    pub(crate) patience: Duration,
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
                        if let Some(connection) = listener.accept(stream, peer) {
                            connections.spawn(connection);
                        }
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

    /// `None`: its address has as many as it may, and it is closed without a word, which would cost a TLS handshake.
    fn accept(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> Option<impl Future<Output = ()> + use<>> {
        let place = self.crowd.accepted(peer.ip());
        if place.is_none() {
            add(&self.metrics.crowded);
        }
        Some(Arc::clone(self).connection(stream, peer, Arc::new(place?)))
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: Arc<Place>) {
        // Chat frames are small and nobody should wait for the next one.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else { return self.requests(stream, peer, place).await };
        let handshake = TlsAcceptor::from(tls.current()).accept(stream);
        match tokio::time::timeout(self.handshake_timeout, handshake).await {
            Ok(Ok(stream)) => self.requests(stream, peer, place).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
            Err(_) => tracing::debug!(%peer, "no TLS in time"),
        }
    }

    async fn requests<S>(&self, stream: S, peer: SocketAddr, place: Arc<Place>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let app = TowerToHyperService::new(self.app.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            // A WebSocket keeps it.
            request.extensions_mut().insert(Arc::clone(&place));
            app.call(request)
        });
        let stream = TokioIo::new(WriteTimeout::new(stream, self.patience));
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::http::Proxies;

    /// A listener whose connections come from wherever a test says: from loopback none would be counted.
    struct Door {
        listener: Arc<Listener>,
        address: SocketAddr,
    }

    impl Door {
        async fn open(most: usize) -> Door {
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = tcp.local_addr().unwrap();
            let app = Router::new().route("/", axum::routing::get(|| async { "here" }));
            let crowd = Crowd::new(most, Arc::new(Proxies::new(Vec::new())));
            let (handshake_timeout, patience) = (Duration::from_mins(1), Duration::from_mins(1));
            let metrics = Arc::new(Metrics::new());
            let listener = Listener { tcp, tls: None, app, crowd, metrics, handshake_timeout, patience };
            Door { listener: Arc::new(listener), address }
        }

        /// The client's side, and the node's.
        async fn comes(&self, from: &str) -> (TcpStream, Option<JoinHandle<()>>) {
            let client = TcpStream::connect(self.address).await.unwrap();
            let (stream, _) = self.listener.tcp.accept().await.unwrap();
            let connection = self.listener.accept(stream, SocketAddr::new(from.parse().unwrap(), 1));
            (client, connection.map(tokio::spawn))
        }
    }

    async fn is_answered(client: &mut TcpStream) -> bool {
        // It may be closed already.
        let _ = client.write_all(b"GET / HTTP/1.1\r\nHost: n\r\n\r\n").await;
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.is_ok() && answer == *b"HTTP/1.1 200"
    }

    #[tokio::test]
    async fn an_address_has_so_many_connections_of_any_kind_and_gets_back_what_it_leaves() {
        let door = Door::open(2).await;
        // One that says nothing counts as one that asks.
        let (silent, held) = door.comes("1.1.1.1").await;
        let (mut asking, _held) = door.comes("1.1.1.1").await;
        assert!(is_answered(&mut asking).await);
        assert!(!is_answered(&mut door.comes("1.1.1.1").await.0).await, "a third is closed");
        assert!(is_answered(&mut door.comes("2.2.2.2").await.0).await, "nobody else pays for it");
        assert_eq!(door.listener.metrics.crowded.load(std::sync::atomic::Ordering::Relaxed), 1);
        drop(silent);
        held.unwrap().await.unwrap();
        assert!(is_answered(&mut door.comes("1.1.1.1").await.0).await, "a place that was left is free again");
    }
}
