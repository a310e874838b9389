//! Who is in a room: as long as the stream lives, by whatever way it ends.

use std::sync::Arc;

use super::peer::{Noting, piped, room, text, within};

#[tokio::test]
async fn the_streams_drop_leaves_every_room() {
    let peer = Noting::default();
    let (connection, wire) = peer.connect();
    let rooms: Vec<_> = (0..3).map(|_| room()).collect();
    for room in &rooms {
        room.join(&connection).unwrap();
    }
    drop(wire);
    assert!(rooms.iter().all(|room| room.is_empty()), "a member that is gone stays for ever");
}

#[tokio::test]
async fn the_dead_do_not_join() {
    let (ended, wire) = Noting::default().connect();
    drop(wire);
    let (cut, _wire) = Noting::default().connect();
    cut.cut();
    let room = room();
    assert!(room.join(&ended).is_err() && room.join(&cut).is_err());
    assert!(room.is_empty());
}

/// The end and the join at once, on two threads, many times: whoever is second undoes or is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_that_races_the_end_leaves_nobody_behind() {
    let room = room();
    for _ in 0..2000 {
        let (connection, wire) = Noting::default().connect();
        let start = Arc::new(tokio::sync::Barrier::new(2));
        let ending = tokio::spawn({
            let start = Arc::clone(&start);
            async move {
                start.wait().await;
                drop(wire);
            }
        });
        start.wait().await;
        let _ = room.join(&connection);
        within("the end that raced", ending).await.unwrap();
        assert!(room.is_empty());
    }
}

#[tokio::test]
async fn who_leaves_gets_what_came_before_and_nothing_after() {
    let peer = Noting::default();
    let (connection, _wire) = peer.connect();
    let room = room();
    let key = room.join(&connection).unwrap();
    room.broadcast(&text(1));
    room.leave(key);
    room.broadcast(&text(2));
    connection.send(text(3)).unwrap();
    assert_eq!(peer.writes(), [("", vec!["1".to_owned(), "3".to_owned()])]);
}

#[tokio::test]
async fn a_member_that_was_cut_leaves_at_the_next_broadcast_at_the_latest() {
    let (connection, _wire, _far) = piped(10);
    let room = room();
    room.join(&connection).unwrap();
    connection.cut();
    assert_eq!(room.broadcast(&text(1)), 0);
    assert!(room.is_empty());
}
