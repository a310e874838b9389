//! What leaves a socket, and when it is given up.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn wire(room: usize) -> (Wire<tokio::io::DuplexStream>, tokio::io::DuplexStream, Arc<Link>) {
    let (near, far) = tokio::io::duplex(room);
    let link = Arc::new(Link::new());
    (Wire::new(near, Arc::clone(&link), PATIENCE), far, link)
}

#[tokio::test]
async fn what_the_peer_does_not_take_at_once_follows_in_order() {
    let (mut wire, mut far, _) = wire(3);
    let sender = tokio::spawn(async move {
        assert_eq!(wire.write(b"abcdef").await.unwrap(), 6, "all or nothing");
        wire.write_all(b"ghi").await.unwrap();
        wire.flush().await.unwrap();
    });
    let mut received = [0; 9];
    far.read_exact(&mut received).await.unwrap();
    sender.await.unwrap();
    assert_eq!(&received, b"abcdefghi");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up() {
    let (mut wire, far, link) = wire(3);
    wire.write_all(b"abcdef").await.unwrap();
    let began = Instant::now();
    assert_eq!(wire.flush().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(began.elapsed(), PATIENCE);
    assert!(link.is_cut());
    drop(far);
}

#[tokio::test]
async fn a_cut_wakes_a_reader_and_a_writer_that_wait() {
    let (wire, far, link) = wire(3);
    let (mut read, mut write) = tokio::io::split(wire);
    let reader = tokio::spawn(async move { read.read_u8().await.unwrap_err().kind() });
    let writer = tokio::spawn(async move {
        write.write_all(b"abcdef").await.unwrap();
        write.flush().await.unwrap_err().kind()
    });
    tokio::task::yield_now().await;
    link.cut();
    assert_eq!(reader.await.unwrap(), io::ErrorKind::ConnectionAborted);
    assert_eq!(writer.await.unwrap(), io::ErrorKind::ConnectionAborted);
    link.closed().await;
    drop(far);
}

#[tokio::test]
async fn whoever_waits_for_room_is_told_when_the_stream_is_flushed_or_gone() {
    let (mut wire, _far, link) = wire(100);
    link.queued();
    link.queued();
    link.below(3).await;
    let waiting = tokio::spawn({
        let link = Arc::clone(&link);
        async move { link.below(2).await }
    });
    wire.write_all(b"x").await.unwrap();
    wire.flush().await.unwrap();
    waiting.await.unwrap();
    link.queued();
    drop(wire);
    link.below(1).await;
}

#[tokio::test]
async fn a_stream_is_read_no_faster_than_requests_are_worked_off() {
    let (mut wire, mut far, link) = wire(100);
    far.write_all(b"ab").await.unwrap();
    for _ in 0..512 {
        link.requested();
    }
    let reader = tokio::spawn(async move { wire.read_u8().await.unwrap() });
    tokio::task::yield_now().await;
    assert!(!reader.is_finished());
    link.handled();
    assert_eq!(reader.await.unwrap(), b'a');
}
