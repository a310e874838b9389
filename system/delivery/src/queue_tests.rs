//! What waits for an ack: order per sender, retries, deadlines, moving slots, drain.

use system_protocol::Offset;

use super::*;
use crate::api::Acked;

const PATIENCE: Duration = Duration::from_secs(30);

fn submission(sender: &str, id: &str) -> Submission {
    Submission {
        room: Room::default(),
        sender: UserId::parse(sender).unwrap(),
        id: MessageId::parse(id).unwrap(),
        content: "x".to_owned(),
        traceparent: None,
    }
}

fn home() -> [Partition; 1] {
    [names::partition_of(&Room::default())]
}

fn ids(messages: &[Arc<Message>]) -> Vec<&str> {
    messages.iter().map(|message| message.id.as_str()).collect()
}

fn acked(message: &Message) -> Outcome {
    Outcome::Acked(Acked { id: message.id.clone(), offset: Offset::MAX, duplicate: false })
}

#[tokio::test]
async fn a_sender_has_one_unresolved_message_in_a_writers_hands() {
    let (queue, now) = (Queue::new(9), Instant::now());
    let first = queue.submit(submission("ann", "1"), PATIENCE);
    let second = queue.submit(submission("ann", "2"), PATIENCE);
    let _other = queue.submit(submission("bob", "1b"), PATIENCE);
    let batch = queue.take(&home(), 256, now);
    assert_eq!(ids(&batch), ["1", "1b"]);
    assert!(queue.take(&home(), 256, now).is_empty());
    queue.resolve(&batch[0], &acked(&batch[0]));
    assert!(matches!(first.await, Outcome::Acked(_)));
    let next = queue.take(&home(), 256, now);
    assert_eq!(ids(&next), ["2"]);
    queue.resolve(&next[0], &acked(&next[0]));
    assert!(matches!(second.await, Outcome::Acked(_)));
}

#[tokio::test]
async fn what_failed_goes_first_and_in_the_same_order() {
    let (queue, now) = (Queue::new(9), Instant::now());
    let receipts: Vec<_> = ["a", "b", "c"].map(|s| queue.submit(submission(s, s), PATIENCE)).into();
    let batch = queue.take(&home(), 2, now);
    queue.put_back(&batch);
    assert_eq!(ids(&queue.take(&home(), 256, now)), ["a", "b", "c"]);
    drop(receipts);
}

#[tokio::test]
async fn the_same_id_again_joins_the_one_that_waits() {
    let (queue, now) = (Queue::new(9), Instant::now());
    let once = queue.submit(submission("ann", "1"), PATIENCE);
    let batch = queue.take(&home(), 256, now);
    let again = queue.submit(submission("ann", "1"), PATIENCE);
    assert_eq!(queue.pending(), 1);
    queue.resolve(&batch[0], &acked(&batch[0]));
    assert_eq!(once.await, again.await);
    assert_eq!(queue.pending(), 0);
}

#[tokio::test]
async fn a_deadline_takes_everything_behind_it_of_that_sender_with_it() {
    let queue = Queue::new(9);
    let late = queue.submit(submission("ann", "1"), Duration::ZERO);
    let behind = queue.submit(submission("ann", "2"), PATIENCE);
    let _other = queue.submit(submission("bob", "3"), PATIENCE);
    assert_eq!(queue.expire(Instant::now()), 2);
    assert_eq!((late.await, behind.await), (Outcome::Unanswered, Outcome::Unanswered));
    assert_eq!(ids(&queue.take(&home(), 256, Instant::now())), ["3"]);
}

#[tokio::test]
async fn what_is_in_a_writers_hands_is_the_writers_to_give_up() {
    let queue = Queue::new(9);
    let late = queue.submit(submission("ann", "1"), Duration::ZERO);
    let behind = queue.submit(submission("ann", "2"), PATIENCE);
    let batch = queue.take(&home(), 256, Instant::now());
    assert_eq!(queue.expire(Instant::now()), 0);
    assert_eq!(queue.abandon(&batch[0]), 2);
    assert_eq!((late.await, behind.await), (Outcome::Unanswered, Outcome::Unanswered));
    queue.emptied().await;
}

#[tokio::test]
async fn a_slot_on_its_way_is_left_alone_for_a_moment_and_then_taken_sparingly() {
    let (queue, now) = (Queue::new(99), Instant::now());
    let receipts: Vec<_> = (0..20).map(|n| queue.submit(submission(&format!("u{n}"), "1"), PATIENCE)).collect();
    queue.hold(home()[0], now);
    assert!(queue.take(&home(), 256, now).is_empty());
    assert_eq!(queue.next_try(&home()), Some(now + MIGRATION_RETRY));
    assert_eq!(queue.take(&home(), 256, now + MIGRATION_RETRY).len(), MIGRATION_BATCH);
    queue.settled(home()[0]);
    assert_eq!(queue.take(&home(), 256, now).len(), 20 - MIGRATION_BATCH);
    drop(receipts);
}

#[tokio::test]
async fn a_full_or_draining_queue_refuses_what_is_new_only() {
    let queue = Queue::new(1);
    let waiting = queue.submit(submission("ann", "1"), PATIENCE);
    let refused = |receipt: Outcome| matches!(receipt, Outcome::Refused(_));
    assert!(refused(queue.submit(submission("ann", "2"), PATIENCE).await));
    queue.drain();
    assert!(refused(queue.submit(submission("bob", "1"), PATIENCE).await));
    let again = queue.submit(submission("ann", "1"), PATIENCE);
    let batch = queue.take(&home(), 1, Instant::now());
    queue.resolve(&batch[0], &acked(&batch[0]));
    assert!(matches!((waiting.await, again.await), (Outcome::Acked(_), Outcome::Acked(_))));
}
