//! Reads: nothing is lost between the thread's buffer and the server's, and no faster than requests are worked off.

use std::sync::Arc;

use bytes::Bytes;
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
