//! Over TLS nothing can be written past the record layer, which keeps bytes of its own: they too leave, and in order.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use system_wire::{Batch, Connection, Locked, Settings, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::peer::{settings, split, within};

async fn pair() -> (server::TlsStream<TcpStream>, client::TlsStream<TcpStream>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let server = ServerConfig::builder().with_no_client_auth();
    let server = server.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap());
    let (far, near) = tokio::join!(far, listener.accept());
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let (near, far) = tokio::join!(acceptor.accept(near.unwrap().0), connector.connect(name, far.unwrap()));
    (near.unwrap(), far.unwrap())
}

/// Megabytes to a peer that begins to read late, while it asks and is answered: both directions, both writers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_in_order_although_the_peer_is_slow() {
    const FRAMES: usize = 20_000;
    let (near, mut far) = pair().await;
    let settings = Settings { limit: 100 << 20, patience: Duration::from_mins(1), ..settings() };
    let (connection, mut wire) = Connection::new(Arc::new(Locked::new(near)), Bytes::new(), settings, ());
    let batch = Batch::new();
    let text = |number: usize| format!("{number:0300}");
    for number in 0..FRAMES {
        connection.push(frame::text(&text(number)), &batch).unwrap();
        if number % 1000 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(connection.waiting() > 0, "the peer did not fall behind, so that this shows nothing");
    far.write_all(b"?").await.unwrap();
    let mut question = [0];
    within("the question", wire.read_exact(&mut question)).await.unwrap();
    wire.write_all(&frame::text("answer")).await.unwrap();
    drop(wire);
    let mut received = Vec::new();
    within("the end of the stream", far.read_to_end(&mut received)).await.unwrap();
    let received = split(&received);
    assert_eq!(received.len(), FRAMES + 1);
    assert!(received[..FRAMES].iter().enumerate().all(|(number, payload)| *payload == text(number)));
    assert_eq!(received[FRAMES], "answer");
}

/// One small frame that nothing follows: it must not stay in the record layer.
#[tokio::test]
async fn a_single_frame_arrives() {
    let (near, mut far) = pair().await;
    let (connection, _wire) = Connection::new(Arc::new(Locked::new(near)), Bytes::new(), settings(), ());
    connection.send(frame::text("one")).unwrap();
    let mut received = [0; 5];
    within("the frame", far.read_exact(&mut received)).await.unwrap();
    assert_eq!(received[..], frame::text("one")[..]);
}
