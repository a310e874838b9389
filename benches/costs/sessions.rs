//! A log from outside, durable or in memory: who submits, who joins, and an outbox that counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use system_delivery::{CloseReason, Closed, Delivery, Entry, FanOut, Outbox, Outcome, Session, Submission};
use system_protocol::{Joined, MessageId, Offset, Room, UserId};

/// Counts messages.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Outbox for Counter {
    fn joined(&self, _: &Joined) -> Result<(), Closed> {
        Ok(())
    }

    fn message(&self, _: &Arc<Entry>, _: Option<&FanOut<'_>>) -> Result<(), Closed> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn close(&self, why: CloseReason) {
        panic!("nobody asked for the end of a session: {}", why.as_str());
    }
}

impl Counter {
    pub(crate) async fn until(&self, messages: u64) {
        while self.0.load(Ordering::Relaxed) < messages {
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) fn room(name: &str) -> Room {
    Room::parse(name).expect("a good name")
}

pub(crate) async fn member(log: &dyn Delivery, room: &Room, at: Option<Offset>) -> (Session, Arc<Counter>) {
    let counter = Arc::new(Counter::default());
    let session = log.session(counter.clone());
    let joined = session.join(room.clone(), at).await.expect("it may enter");
    assert!(at.is_none() || joined.recovered, "its place is held");
    (session, counter)
}

/// So many messages at once, each of a sender of its own, until all are acked. Ids are never used again.
pub(crate) async fn append(log: &dyn Delivery, room: &Room, messages: usize) -> Vec<Offset> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let submission = |nth| Submission {
        room: room.clone(),
        sender: UserId::parse(&format!("user-{nth}")).expect("a good name"),
        id: MessageId::parse(&format!("m-{}", NEXT.fetch_add(1, Ordering::Relaxed))).expect("a good id"),
        content: "A chat message is seldom much longer than this one.".to_owned(),
        traceparent: None,
    };
    let receipts: Vec<_> = (0..messages).map(|nth| log.submit(submission(nth))).collect();
    let mut offsets = Vec::with_capacity(messages);
    for receipt in receipts {
        match receipt.await {
            Outcome::Acked(acked) => offsets.push(acked.offset),
            other => panic!("not acked: {other:?}"),
        }
    }
    offsets
}

/// Joins from a place that lies so many messages back, until they are there.
pub(crate) async fn resume(log: &dyn Delivery, room: &Room, offsets: &[Offset], behind: usize) {
    let at = offsets[offsets.len() - 1 - behind];
    let (_session, counter) = member(log, room, Some(at)).await;
    counter.until(behind as u64).await;
}
