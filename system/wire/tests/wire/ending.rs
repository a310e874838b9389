//! How a connection ends, and that its descriptor goes with it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use system_wire::{Batch, Connection, Wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::peer::{Noting, settings, text, within};

async fn tcp<G>(guard: G) -> (Arc<Connection>, Wire<G>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap());
    let (far, near) = tokio::join!(far, listener.accept());
    let (connection, wire) = Connection::new(Arc::new(near.unwrap().0), Bytes::new(), settings(), guard);
    (connection, wire, far.unwrap())
}

/// A handler that outlives its connection would keep the descriptor open otherwise.
#[tokio::test]
async fn holding_the_handle_holds_no_descriptor() {
    let (connection, wire, mut far) = tcp(()).await;
    connection.send(text(7)).unwrap();
    drop(wire);
    let mut received = Vec::new();
    within("the end, for the peer", far.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, text(7));
    // Shut down is not closed: only a closed socket answers what comes now with a reset.
    let reset = async {
        loop {
            if let Err(error) = far.write_all(b"x").await {
                return error.kind();
            }
            tokio::task::yield_now().await;
        }
    };
    let kind = within("the descriptor's end", reset).await;
    assert!(matches!(kind, std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset), "{kind}");
    assert!(connection.send(text(8)).is_err());
}

#[tokio::test]
async fn a_cut_ends_a_reader_that_waits_and_the_peer_sees_it() {
    let (connection, mut wire, mut far) = tcp(()).await;
    let reading = tokio::spawn(async move {
        let kind = wire.read_u8().await.unwrap_err().kind();
        (kind, wire.write(&text(1)).await.unwrap_err().kind())
    });
    tokio::task::yield_now().await;
    connection.cut();
    let aborted = std::io::ErrorKind::ConnectionAborted;
    assert_eq!(within("the reader's end", reading).await.unwrap(), (aborted, aborted));
    let end = within("the end, for the peer", far.read_u8()).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    within("the connection's end", connection.ended()).await;
}

/// Behind what was said, and nothing follows it; the server is told as by the end of its stream.
#[tokio::test]
async fn a_connection_is_closed_with_a_word_and_its_reader_told() {
    let (connection, mut wire, mut far) = tcp(()).await;
    connection.push(text(1), &Batch::new()).unwrap();
    let reading = tokio::spawn(async move {
        let kind = wire.read_u8().await.unwrap_err().kind();
        (kind, wire.write(&text(2)).await.unwrap_err().kind())
    });
    tokio::task::yield_now().await;
    connection.close(1008, "enough");
    connection.close(1002, "no other");
    assert!(connection.send(text(3)).is_err());
    let aborted = std::io::ErrorKind::ConnectionAborted;
    assert_eq!(within("the reader's end", reading).await.unwrap(), (aborted, aborted));
    let mut received = Vec::new();
    within("the end, for the peer", far.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, [&text(1)[..], &[0x88, 8, 0x03, 0xf0], b"enough"].concat());
    assert_eq!(connection.why_cut(), None);
}

/// Although the server below has not noticed yet, and holds on to its stream.
#[tokio::test]
async fn a_cut_is_seen_by_the_peer_at_once() {
    let (connection, wire, mut far) = tcp(()).await;
    connection.cut();
    let end = within("the end, for the peer", far.read_u8()).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    drop(wire);
}

/// Even one that takes no bytes at all, whose kernel would keep what it has for minutes.
#[tokio::test]
async fn a_cut_does_not_wait_for_a_peer_that_reads_nothing() {
    let (connection, wire, far) = tcp(()).await;
    let frame = system_wire::frame::text(&"x".repeat(5000));
    while connection.waiting() == 0 {
        connection.send(frame.clone()).unwrap();
    }
    connection.cut();
    drop(wire);
    within("the connection's end", connection.ended()).await;
    drop(far);
}

#[tokio::test]
async fn what_waits_for_its_batch_leaves_with_the_stream() {
    let peer = Noting::default();
    let (connection, wire) = peer.connect();
    connection.push(text(1), &Batch::new()).unwrap();
    drop(wire);
    assert_eq!(peer.writes(), [("", vec!["1".to_owned()])]);
    assert!(!peer.aborted());
}

#[tokio::test]
async fn the_guard_lives_as_long_as_the_stream() {
    let guard = Arc::new(());
    let (connection, wire, _far) = tcp(Arc::clone(&guard)).await;
    assert_eq!(Arc::strong_count(&guard), 2);
    drop(wire);
    assert_eq!(Arc::strong_count(&guard), 1);
    drop(connection);
}

#[tokio::test]
async fn a_voice_has_ended_with_itself_with_a_later_one_and_with_the_stream() {
    let (connection, wire, _far) = tcp(()).await;
    let [first, second, third] = [(); 3].map(|()| connection.voice());
    let waiting = tokio::spawn(async move { first.ended().await });
    tokio::task::yield_now().await;
    second.end();
    within("the end of an earlier voice", waiting).await.unwrap();
    within("its own end", second.ended()).await;
    assert!(third.ended().now_or_never().is_none(), "it may still speak");
    drop(wire);
    within("the end with the stream", third.ended()).await;
}
