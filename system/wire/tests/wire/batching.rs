//! One write per member and batch, and answers before it.

use std::sync::Arc;

use std::time::Duration;

use system_wire::deflate::{self, Deflate};
use system_wire::{Batch, Room};
use tokio::time::{Instant, sleep_until};

use super::peer::{Noting, room, text, within};

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
    within("the answer", answering).await.unwrap();
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
    within("the fan-out, and an answer after its beginning", answering).await.unwrap();
    settle().await;
    let writes = asker.writes();
    let at = writes.iter().position(|(name, _)| *name == "asker").unwrap();
    assert!(at < 130, "the answer came after {at} of 200 members");
    assert_eq!(writes.len(), 201);
}

/// Virtual time: milliseconds since the beginning at which the member was written to, and what it got then.
#[tokio::test(start_paused = true)]
async fn a_paced_batch_writes_at_once_after_silence_and_then_once_per_pace() {
    const PACE: u64 = 4;
    let member = Noting::named("member");
    let (here, _wire) = member.connect();
    let room = Room::new(Batch::paced(Duration::from_millis(PACE)), Deflate::new(deflate::Settings::default()).room());
    room.join(&here).unwrap();
    let began = Instant::now();
    let said = [0, 1, 2, 6, 7, 20, 24, 29, 30];
    let mut written = Vec::new();
    for ms in 0..50 {
        sleep_until(began + Duration::from_millis(ms)).await;
        settle().await;
        if let Some(number) = said.iter().position(|at| *at == ms) {
            room.broadcast(&text(number));
            settle().await;
        }
        let writes = member.writes();
        written.extend(writes[written.len()..].iter().map(|(_, what)| (ms, what.clone())).collect::<Vec<_>>());
    }
    let at = |ms, numbers| (ms, strings(numbers));
    let expected = [at(0, 0..1), at(4, 1..3), at(8, 3..5), at(20, 5..6), at(24, 6..7), at(29, 7..8), at(33, 8..9)];
    assert_eq!(written, expected);
}
