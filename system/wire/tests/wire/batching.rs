//! One write per member and batch, and answers before it.

use std::sync::Arc;

use super::peer::{Noting, room, text};

fn strings(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

/// Until every task that can run has run.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_comes_within_one_turn_goes_in_one_write_to_each_member() {
    let ann = Noting::named("ann");
    let bob = ann.like("bob");
    let ((ann_here, _ann), (bob_here, _bob)) = (ann.connect(), bob.connect());
    let (one, other) = (room(), room());
    one.join(&ann_here).unwrap();
    one.join(&bob_here).unwrap();
    other.join(&bob_here).unwrap();
    for number in 0..10 {
        one.broadcast(&text(number));
    }
    other.broadcast(&text(10));
    assert_eq!(ann.writes(), [], "nothing is written before others could add to it");
    settle().await;
    assert_eq!(ann.writes(), [("ann", strings(0..10)), ("bob", strings(0..11))]);
    one.broadcast(&text(11));
    settle().await;
    assert_eq!(ann.writes()[2..], [("ann", strings(11..12)), ("bob", strings(11..12))], "the next batch");
}

/// The one who asked is answered by a task of its own, which became ready only through the broadcast.
#[tokio::test]
async fn answers_leave_before_the_fan_out() {
    let asker = Noting::named("asker");
    let member = asker.like("member");
    let ((asker_here, _asker), (member_here, _member)) = (asker.connect(), member.connect());
    let room = room();
    room.join(&member_here).unwrap();
    let stored = Arc::new(tokio::sync::Notify::new());
    let answering = tokio::spawn({
        let stored = Arc::clone(&stored);
        async move {
            stored.notified().await;
            asker_here.send(text(1)).unwrap();
        }
    });
    settle().await;
    room.broadcast(&text(0));
    stored.notify_one();
    answering.await.unwrap();
    settle().await;
    assert_eq!(asker.writes(), [("asker", strings(1..2)), ("member", strings(0..1))]);
}

/// A batch that is being written takes more, and others run in between.
#[tokio::test]
async fn a_large_fan_out_lets_others_run() {
    let asker = Noting::named("asker");
    let (asker_here, _asker) = asker.connect();
    let room = room();
    let members: Vec<_> = (0..200).map(|_| asker.like("member").connect()).collect();
    for (member, _) in &members {
        room.join(member).unwrap();
    }
    room.broadcast(&text(0));
    let written = asker.clone();
    let answering = tokio::spawn(async move {
        // Ready once the fan-out is under way.
        while written.writes().is_empty() {
            tokio::task::yield_now().await;
        }
        asker_here.send(text(1)).unwrap();
    });
    answering.await.unwrap();
    settle().await;
    let writes = asker.writes();
    let at = writes.iter().position(|(name, _)| *name == "asker").unwrap();
    assert!(at < 130, "the answer came after {at} of 200 members");
    assert_eq!(writes.len(), 201);
}
