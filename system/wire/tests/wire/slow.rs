//! Peers that are behind: what waits is kept in order and bounded, and one that takes nothing is given up.

use system_wire::{Batch, Cut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, Instant, advance};

use super::peer::{LIMIT, Noting, PATIENCE, payloads, piped, text, within};
use system_wire::frame;

#[tokio::test]
async fn what_the_peer_does_not_take_at_once_follows_in_order() {
    let (connection, wire, far) = piped(3);
    for number in 0..1000 {
        connection.send(text(number)).unwrap();
    }
    assert!(connection.waiting() > 1000);
    drop(wire);
    let received = payloads(far).await;
    assert_eq!(received, (0..1000).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_peer_for_which_too_much_waits_is_cut_and_its_reader_told() {
    let (connection, mut wire, far) = piped(100);
    let reading = tokio::spawn(async move { wire.read_u8().await.unwrap_err().kind() });
    let batch = Batch::new();
    let frame = frame::text(&"x".repeat(200));
    let mut taken = 0;
    while connection.push(frame.clone(), &batch).is_ok() {
        taken += frame.len();
        assert!(taken < 2 * LIMIT, "memory has no limit");
    }
    assert!(taken > LIMIT - frame.len(), "cut at {taken} bytes already");
    assert_eq!(connection.why_cut(), Some(Cut::TooMuch));
    assert_eq!(connection.waiting(), 0);
    assert!(connection.send(frame).is_err(), "nothing may follow what was lost");
    assert_eq!(within("the reader's end", reading).await.unwrap(), std::io::ErrorKind::ConnectionAborted);
    drop(far);
}

/// What waits only for its batch is no sign of a slow peer.
#[tokio::test]
async fn a_peer_that_takes_everything_is_not_cut_for_a_large_batch() {
    let peer = Noting::default();
    let (connection, _wire) = peer.connect();
    let (batch, frame) = (Batch::new(), frame::text(&"x".repeat(200)));
    for _ in 0..10 * LIMIT / frame.len() {
        connection.push(frame.clone(), &batch).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up_after_the_patience() {
    let (connection, mut wire, far) = piped(3);
    let reading = tokio::spawn(async move { (wire.read_u8().await.unwrap_err().kind(), Instant::now()) });
    let began = Instant::now();
    connection.send(text(12_345)).unwrap();
    let (kind, at) = within("the reader's end", reading).await.unwrap();
    assert_eq!((kind, at - began), (std::io::ErrorKind::TimedOut, PATIENCE));
    assert_eq!(connection.why_cut(), Some(Cut::Stalled));
    drop(far);
}

/// Every byte gives it the whole patience anew.
#[tokio::test(start_paused = true)]
async fn a_slow_peer_that_takes_something_is_kept() {
    let (connection, wire, mut far) = piped(1);
    connection.send(text(12_345_678)).unwrap();
    let mut received = Vec::new();
    for _ in 0..frame::text("12345678").len() {
        tokio::task::yield_now().await;
        advance(PATIENCE.saturating_sub(Duration::from_millis(1))).await;
        received.push(within("the next byte", far.read_u8()).await.unwrap());
    }
    assert_eq!(received, text(12_345_678));
    assert_eq!(connection.why_cut(), None);
    drop(wire);
}

#[tokio::test]
async fn whoever_waits_for_room_is_told_when_there_is_some_or_never_will_be() {
    let (connection, wire, mut far) = piped(10);
    let below = |connection: &std::sync::Arc<system_wire::Connection>, limit| {
        let connection = std::sync::Arc::clone(connection);
        tokio::spawn(async move { connection.below(limit).await })
    };
    connection.send(frame::text(&"x".repeat(100))).unwrap();
    let waiting = below(&connection, 50);
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    within("what waited", far.read_exact(&mut [0; 60])).await.unwrap();
    within("a word that there is room", waiting).await.unwrap();
    let waiting = below(&connection, 1);
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    connection.cut();
    within("a word that there will never be any", waiting).await.unwrap();
    drop(wire);
}

/// The server's own frames wait for nobody either, and count.
#[tokio::test]
async fn the_servers_own_frames_are_held_to_the_limit_too() {
    let (connection, mut wire, _far) = piped(10);
    let frame = frame::text(&"x".repeat(200));
    let mut written = 0;
    while wire.write_all(&frame).await.is_ok() {
        written += frame.len();
        assert!(written < 2 * LIMIT, "memory has no limit");
    }
    assert_eq!(connection.why_cut(), Some(Cut::TooMuch));
}
