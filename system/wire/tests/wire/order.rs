//! Frames of two sources on one connection: whole, in the order in which they came, and none before its time.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};

use super::peer::{LIMIT, Noting, payloads, piped, settings, text, within};
use system_wire::deflate::{self, Deflate};
use system_wire::{Batch, Connection, Locked, frame};

/// Both writers at once, through a pipe that takes three bytes at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_never_interleave_and_each_source_keeps_its_order() {
    const FRAMES: usize = 300;
    let (connection, mut wire, far) = piped(3);
    let reading = tokio::spawn(payloads(far));
    let ours = tokio::spawn(async move {
        for number in 0..FRAMES {
            connection.below(1000).await;
            connection.send(frame::text(&format!("ready {number}"))).unwrap();
        }
    });
    for number in 0..FRAMES {
        let frames = [frame::text(&format!("engine {number}")), frame::text("2")].concat();
        assert_eq!(wire.write(&frames).await.unwrap(), frames.len(), "all or nothing");
        wire.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    within("room for the ready frames", ours).await.unwrap();
    drop(wire);
    let received = within("the reader", reading).await.unwrap();
    let numbers = |prefix: &str| {
        received.iter().filter_map(|payload| payload.strip_prefix(prefix)?.parse().ok()).collect::<Vec<usize>>()
    };
    assert_eq!(numbers("engine "), (0..FRAMES).collect::<Vec<_>>());
    assert_eq!(numbers("ready "), (0..FRAMES).collect::<Vec<_>>());
    assert_eq!(received.iter().filter(|payload| *payload == "2").count(), FRAMES);
}

/// Whatever pieces the server writes, and whatever is ready between them.
#[tokio::test]
async fn a_frame_that_is_written_in_pieces_goes_out_when_it_is_whole() {
    let lengths = [0, 1, 125, 126, 3000];
    let frames = lengths.map(|length| frame::text(&"x".repeat(length)));
    let apart = |nth: usize| frames[nth].split_at(frames[nth].len() - lengths[nth]);
    let header_and_payload: Vec<_> = (0..lengths.len()).flat_map(|nth| <[&[u8]; 2]>::from(apart(nth))).collect();
    let bytes = frames.concat();
    // The last two cut anywhere, so that the end of one frame is written with the beginning of the next.
    for pieces in
        [bytes.chunks(1).collect(), header_and_payload, bytes.chunks(100).collect(), bytes.chunks(3003).collect()]
    {
        let peer = Noting::default();
        let (connection, mut wire) = peer.connect();
        for piece in &pieces {
            assert_eq!(wire.write(piece).await.unwrap(), piece.len());
            wire.flush().await.unwrap();
            connection.send(frame::text("ready")).unwrap();
        }
        // That every write is of whole frames is what the peer looks at.
        let (ready, own): (Vec<_>, Vec<_>) =
            peer.writes().into_iter().flat_map(|(_, payloads)| payloads).partition(|payload| payload == "ready");
        assert_eq!(ready.len(), pieces.len());
        assert_eq!(own.iter().map(String::len).collect::<Vec<_>>(), lengths, "{} pieces", pieces.len());
    }
}

#[tokio::test]
async fn half_a_frame_ends_with_its_stream() {
    let (connection, mut wire, far) = piped(100);
    wire.write_all(&[&frame::text("abc")[..], &frame::text("never")[..6]].concat()).await.unwrap();
    connection.send(frame::text("ready")).unwrap();
    wire.shutdown().await.unwrap();
    drop(wire);
    assert_eq!(payloads(far).await, ["abc", "ready"]);
}

/// Nor is what follows taken for another frame.
#[tokio::test]
async fn a_frame_in_pieces_has_a_limit_and_a_masked_one_is_none() {
    for header in [
        &[0x82, 127, 0, 0, 0, 0, 0, 0, 0x27, 7][..],
        &[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255],
        &[0x82, 0x81],
    ] {
        let (connection, mut wire, far) = piped(100);
        let before = [&frame::text("abc")[..], &header[..1]].concat();
        wire.write_all(&before).await.unwrap();
        for more in [&header[1..], &frame::text("no")] {
            assert_eq!(wire.write(more).await.unwrap_err().kind(), std::io::ErrorKind::InvalidData, "{header:x?}");
        }
        connection.send(frame::text("ready")).unwrap();
        drop(wire);
        assert_eq!(payloads(far).await, ["abc", "ready"]);
    }
    let (_connection, mut wire, far) = piped(2 * LIMIT);
    let most = frame::text(&"x".repeat(LIMIT - 4));
    assert_eq!(most.len(), LIMIT);
    wire.write_all(&most[..7]).await.unwrap();
    wire.write_all(&most[7..]).await.unwrap();
    drop(wire);
    assert_eq!(payloads(far).await[0].len(), LIMIT - 4);
}

#[tokio::test]
async fn what_is_ready_too_early_waits_for_the_answer_to_connect() {
    let (connection, mut wire, far) = piped(1000);
    connection.hold();
    connection.send(text(1)).unwrap();
    connection.push(text(2), &Batch::new()).unwrap();
    tokio::task::yield_now().await;
    wire.write_all(&frame::text("0{\"sid\":\"open\"}")).await.unwrap();
    let answer_and_more = [frame::text("40{\"sid\":\"a\"}"), frame::text("2")].concat();
    wire.write_all(&answer_and_more).await.unwrap();
    connection.send(text(3)).unwrap();
    drop(wire);
    assert_eq!(payloads(far).await, ["0{\"sid\":\"open\"}", "40{\"sid\":\"a\"}", "1", "2", "2", "3"]);
}

/// A client that leaves the namespace and comes back while the first answer is still on its way.
#[tokio::test]
async fn every_connect_is_waited_for() {
    let (connection, mut wire, far) = piped(1000);
    connection.hold();
    connection.hold();
    connection.send(text(1)).unwrap();
    wire.write_all(&frame::text("40{\"sid\":\"a\"}")).await.unwrap();
    wire.write_all(&frame::text("40{\"sid\":\"b\"}")).await.unwrap();
    drop(wire);
    assert_eq!(payloads(far).await, ["40{\"sid\":\"a\"}", "40{\"sid\":\"b\"}", "1"]);
}

#[tokio::test]
async fn a_frame_may_be_replaced_on_its_way_and_its_neighbours_stay() {
    let (_connection, mut wire, far) = piped(1000);
    let long = "x".repeat(300);
    wire.write_all(&[frame::text("2"), frame::text("refused"), frame::text(&long)].concat()).await.unwrap();
    drop(wire);
    assert_eq!(payloads(far).await, ["2", "refused, and why", &long]);
}

#[tokio::test]
async fn nothing_follows_a_close_frame() {
    let peer = Noting::default();
    let (connection, mut wire) = peer.connect();
    wire.write_all(b"\x88\x00").await.unwrap();
    assert!(connection.send(text(1)).is_err());
    assert!(connection.push(text(1), &Batch::new()).is_err());
    wire.write_all(b"\x88\x00").await.unwrap();
    assert_eq!(peer.writes().len(), 1, "not even another");
}

/// A session that is over says nothing more, also to those who came before it; the next one does.
#[tokio::test]
async fn a_voice_that_is_over_is_not_heard() {
    let peer = Noting::default();
    let (connection, _wire) = peer.connect();
    let batch = Batch::new();
    let (first, second) = (connection.voice(), connection.voice());
    first.push(text(1), &batch).unwrap();
    second.send(text(2)).unwrap();
    second.end();
    let room = Deflate::new(deflate::Settings::default()).room();
    let message = room.broadcast(text(9), std::time::Instant::now());
    assert!(first.send(text(3)).is_err() && second.push(text(4), &batch).is_err());
    assert!(second.push_broadcast(&message, &batch).is_err());
    let third = connection.voice();
    third.push_broadcast(&message, &batch).unwrap();
    third.send(text(5)).unwrap();
    connection.send(text(6)).unwrap();
    let said: Vec<_> = peer.writes().into_iter().flat_map(|(_, said)| said).collect();
    assert_eq!(said, ["1", "2", "9", "5", "6"]);
}

/// An answer may be written while a batch waits, and then carries what came before it.
#[tokio::test]
async fn an_answer_overtakes_nothing_on_its_own_connection() {
    let peer = Noting::default();
    let (connection, _wire) = peer.connect();
    connection.push(text(1), &Batch::new()).unwrap();
    connection.send(text(2)).unwrap();
    tokio::task::yield_now().await;
    assert_eq!(peer.writes(), [("", vec!["1".to_owned(), "2".to_owned()])]);
}

/// A stream that keeps bytes of its own, as a record layer may.
#[tokio::test]
async fn what_the_stream_below_keeps_is_flushed() {
    let (near, mut far) = tokio::io::duplex(100);
    let below = Arc::new(Locked::new(BufWriter::new(near)));
    let (connection, _wire) = Connection::new(below, Bytes::new(), settings(), ());
    connection.send(text(7)).unwrap();
    let mut received = vec![0; text(7).len()];
    within("what stayed below", far.read_exact(&mut received)).await.unwrap();
    assert_eq!(received, text(7));
}
