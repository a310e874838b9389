//! The listener's TLS: who is believed, what goes over it, and a certificate that changes.

use std::path::Path;
use std::sync::Arc;

use nix::sys::signal::Signal;
use rcgen::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::Client;
use crate::server::{PATIENCE, Server};
use crate::transport::{SLOW, a_slow_consumer_loses_nothing};

/// A certificate for 127.0.0.1 and its key, in files.
pub(crate) struct Pair {
    folder: TempDir,
    roots: RootCertStore,
}

impl Pair {
    pub(crate) fn make() -> Pair {
        let mut pair = Pair { folder: tempfile::tempdir().unwrap(), roots: RootCertStore::empty() };
        pair.renew();
        pair
    }

    /// Another takes its place; its clients trust both.
    fn renew(&mut self) {
        let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        self.write("cert", &cert.pem());
        self.write("key", &signing_key.serialize_pem());
        self.roots.add(cert.der().clone()).unwrap();
    }

    /// In one piece, as whoever renews certificates should.
    fn write(&self, name: &str, content: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, self.folder.path().join(name)).unwrap();
    }

    fn path(&self, name: &str) -> String {
        Path::new(self.folder.path()).join(name).to_str().unwrap().to_owned()
    }

    fn trust(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        Arc::new(config.with_root_certificates(self.roots.clone()).with_no_client_auth())
    }

    pub(crate) async fn serve(&self, arguments: &[&str]) -> Server {
        let (cert, key) = (self.path("cert"), self.path("key"));
        let mut server = Server::open(&[&["--tls-cert", &cert, "--tls-key", &key], arguments].concat()).await;
        server.trust = Some(self.trust(&[&TLS12, &TLS13]));
        server
    }
}

#[tokio::test]
async fn http_and_websocket_go_over_both_versions_and_nothing_goes_without() {
    let pair = Pair::make();
    let mut server = pair.serve(&[]).await;
    for version in [&TLS12, &TLS13] {
        server.trust = Some(pair.trust(&[version]));
        assert_eq!(server.get("/health").await.status, 200);
        assert!(server.get("/").await.body.contains("<!doctype html>"));
        let polling = server.get("/socket.io/?EIO=4&transport=polling").await;
        assert_eq!(polling.body, r#"{"code":0,"message":"Transport unknown"}"#);
        let (mut ann, mut bob) = (Client::join(&server, "ann").await, Client::join(&server, "bob").await);
        let content = "x".repeat(1000);
        assert!(ann.call("chat-message", json!({ "content": content })).await["error"].is_null());
        assert_eq!(bob.contents(1).await, [content]);
    }
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut answer)).await.expect("an end");
    assert!(!answer.starts_with(b"HTTP"), "{:?}", String::from_utf8_lossy(&answer));
    server.trust = Some(Pair::make().trust(&[&TLS13]));
    let stranger = TlsConnector::from(server.trust.clone().unwrap());
    let stream = TcpStream::connect(server.address).await.unwrap();
    let refused = stranger.connect(server.address.ip().into(), stream).await.unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
}

#[tokio::test]
async fn a_slow_consumer_over_tls_is_closed_and_misses_nothing_when_it_resumes() {
    a_slow_consumer_loses_nothing(&Pair::make().serve(&SLOW).await).await;
}

/// A connection that just breaks off could have been cut by anybody.
#[tokio::test]
async fn the_end_of_a_connection_is_said_in_tls() {
    let mut server = Pair::make().serve(&["--drain-within", "1s"]).await;
    let mut ann = Client::join(&server, "ann").await;
    server.signal(Signal::SIGTERM);
    ann.event("draining").await;
    let mut stream = ann.into_stream();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("an end");
    assert!(end.is_ok(), "no close_notify: {end:?}");
    assert_eq!(server.exit_code().await, 0);
}

#[tokio::test]
async fn a_changed_certificate_counts_for_who_comes_and_a_wrong_one_for_nobody() {
    let mut pair = Pair::make();
    let mut server = pair.serve(&[]).await;
    let mut ann = Client::join(&server, "ann").await;
    pair.renew();
    server.trust = Some(pair.trust(&[&TLS13]));
    server.metric_once("chat_reloads_total{file=\"certificate\",outcome=\"taken\"}", |taken| taken > 0.5).await;
    let mut newest = Pair { folder: tempfile::tempdir().unwrap(), roots: RootCertStore::empty() };
    std::mem::swap(&mut newest.folder, &mut pair.folder);
    // Trusts only the second.
    let pem = std::fs::read_to_string(newest.path("cert")).unwrap();
    let second = rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap();
    newest.roots.add(second).unwrap();
    server.trust = Some(newest.trust(&[&TLS13]));
    let mut bob = Client::join(&server, "bob").await;
    assert!(ann.call("chat-message", json!({ "content": "still here" })).await["error"].is_null());
    assert_eq!(bob.contents(1).await, ["still here"]);

    let key = std::fs::read_to_string(newest.path("key")).unwrap();
    let strange = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    for (n, (name, content)) in
        [("key", strange.signing_key.serialize_pem()), ("key", key), ("cert", "no certificate".to_owned())]
            .into_iter()
            .enumerate()
    {
        newest.write(name, &content);
        let expected = if n == 1 { 0.0 } else { 1.0 };
        let refused = "chat_reload_refused{file=\"certificate\"}";
        server.metric_once(refused, |now| (now - expected).abs() < 0.5).await;
    }
    assert!(bob.call("chat-message", json!({ "content": "nor here" })).await["error"].is_null());
    let said = server.lines_with("cannot be used", 2).await;
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("is not for the key") && said[1].contains("holds no certificate"), "{said:?}");
}
