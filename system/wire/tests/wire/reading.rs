//! Reads: nothing is lost between the thread's buffer and the server's, and no faster than requests are worked off.

use std::sync::Arc;

use bytes::Bytes;
use system_wire::deflate::Peer;
use system_wire::{Connection, Locked};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::peer::{piped, settings, within};

#[tokio::test]
async fn a_server_that_reads_in_small_pieces_gets_every_byte_once() {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let early = Bytes::from_static(b"read before the switch, ");
    let (_connection, mut wire) = Connection::new(Arc::new(Locked::new(near)), early.clone(), settings(), ());
    let sent: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    far.write_all(&sent).await.unwrap();
    drop(far);
    let (mut received, mut piece, mut sizes) = (Vec::new(), [0; 1000], (1..1000).cycle());
    loop {
        let read = within("more, or the end", wire.read(&mut piece[..sizes.next().unwrap()])).await.unwrap();
        if read == 0 {
            break;
        }
        received.extend_from_slice(&piece[..read]);
    }
    assert_eq!(received, [&early[..], &sent].concat());
}

/// However its frames come in pieces: what is before the fault is read, and the fault itself is not.
#[tokio::test]
async fn a_fault_of_the_peer_ends_the_reading_and_is_told_to_it() {
    let good: &[&[u8]] = &[b"\x81\x83\0\0\0\0abc", b"\x01\xfe\x00\x80\0\0\0\0", &[b'x'; 128], b"\x80\x80\0\0\0\0"];
    let good = good.concat();
    let large = b"\x82\xff\0\0\0\0\x00\x0f\x42\x41\0\0\0\0";
    for (fault, status) in [(&b"\x81\x01x"[..], 1002_u16), (b"\x91\x81\0\0\0\0x", 1002), (large, 1009)] {
        for piece in [1, 7, 1000] {
            let (near, mut far) = tokio::io::duplex(piece);
            let (_connection, wire) = Connection::new(Arc::new(Locked::new(near)), Bytes::new(), settings(), ());
            let mut wire = wire.compressed(Peer::default(), 1_000_000);
            let sent = [&good[..], fault, b"and more"].concat();
            let peer = tokio::spawn(async move {
                let (mut reads, mut writes) = tokio::io::split(&mut far);
                let mut said = Vec::new();
                let ends = tokio::join!(writes.write_all(&sent), reads.read_to_end(&mut said)).1;
                (ends.unwrap(), said)
            });
            let mut read = Vec::new();
            let error = within("the fault", wire.read_to_end(&mut read)).await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
            // A header that comes in pieces is read as far as it may be one.
            assert!(read.starts_with(&good) && read.len() < good.len() + fault.len(), "{read:?}");
            drop(wire);
            let (_, said) = within("the end", peer).await.unwrap();
            assert_eq!(said, [&[0x88, 2][..], &status.to_be_bytes()].concat());
        }
    }
}

#[tokio::test]
async fn a_stream_is_read_no_faster_than_requests_are_worked_off() {
    let (connection, mut wire, mut far) = piped(100);
    far.write_all(b"ab").await.unwrap();
    for _ in 0..4 {
        connection.requested();
    }
    let reader = tokio::spawn(async move { wire.read_u8().await.unwrap() });
    tokio::task::yield_now().await;
    assert!(!reader.is_finished());
    connection.handled();
    assert_eq!(within("a byte, now that a request is worked off", reader).await.unwrap(), b'a');
}
