//! How long a room keeps its stream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use system_wire::deflate::{Deflate, Peer, Room, Settings};

use crate::browser::plain;

const OFFER: &str = "permessage-deflate; client_max_window_bits";

fn deflate(streams: usize) -> Arc<Deflate> {
    Deflate::new(Settings { threshold: 0, streams, ..Settings::default() })
}

/// Enough for a stream.
fn talk(deflate: &Arc<Deflate>, room: &Arc<Room>, now: Instant) -> Vec<Peer> {
    let mut members: Vec<Peer> = (0..40).map(|_| deflate.peer(deflate.negotiate([OFFER]).unwrap())).collect();
    for nth in 0..4 {
        let broadcast = room.broadcast(Bytes::from(plain(0x81, format!("message {nth}").as_bytes())), now);
        for peer in &mut members {
            let _ = broadcast.frame(peer);
        }
    }
    members
}

#[test]
fn a_pause_of_a_minute_keeps_it_and_no_longer() {
    let (deflate, start) = (deflate(8), Instant::now());
    let room = deflate.room();
    let members = talk(&deflate, &room, start);
    assert!(members.iter().all(Peer::shares_a_context));
    deflate.sweep(start + Duration::from_secs(59));
    assert_eq!(deflate.numbers().streams, 1);
    deflate.sweep(start + Duration::from_secs(61));
    assert_eq!(deflate.numbers().streams, 0);
}

#[test]
fn a_busy_room_takes_it_from_one_that_was_quiet_for_ten_seconds() {
    let (deflate, start) = (deflate(1), Instant::now());
    let (quiet, soon, late) = (deflate.room(), deflate.room(), deflate.room());
    talk(&deflate, &quiet, start);
    let shares = |room, seconds| {
        let members = talk(&deflate, room, start + Duration::from_secs(seconds));
        assert_eq!(deflate.numbers().streams, 1);
        members.iter().all(Peer::shares_a_context)
    };
    assert!(!shares(&soon, 9));
    assert!(shares(&late, 11));
}
