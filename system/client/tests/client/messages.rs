//! Sending: acks, retries, order, limits.

use std::time::{Duration, Instant};

use serde_json::json;
use system_client::{Unresolved, What};
use system_protocol::{Code, Refusal, TraceParent};

use crate::script::{Node, User, quick, room, within};

#[tokio::test]
async fn a_message_is_sent_once_its_room_is_joined_and_acked_by_offset() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("r"), None);
    let id = user.send("r", "hello");

    let mut peer = node.settle("r").await;
    let heard = peer.hear().await;
    assert_eq!(
        (heard.event.as_str(), &heard.payload),
        ("chat-message", &json!({ "content": "hello", "id": id, "room": "r" }))
    );
    assert_eq!(user.client.queue().in_flight, 1);
    peer.ack(&heard, 7).await;

    let (acked, attempt, sent) = user
        .until(|what| match what {
            What::Acked { id, attempt, sent, .. } => Some((id.to_string(), *attempt, sent.offset)),
            _ => None,
        })
        .await;
    assert_eq!((acked, attempt, sent.map(system_protocol::Offset::seq)), (id, 1, Some(7)));
    assert_eq!(user.client.queue().held(), 0);
    // The ack's offset is no position: messages before it may be on their way.
    assert_eq!(user.client.position(&room("r")), Some(crate::script::offset(0)));
}

#[tokio::test]
async fn an_unanswered_message_is_sent_again_with_the_same_id_and_a_span_of_its_own() {
    let node = Node::bind().await;
    let mut config = quick(&[&node]);
    config.ack_timeout = Duration::from_millis(40);
    let mut user = User::start(config);
    user.client.join(room("r"), None);
    let parent = TraceParent::new(1, 2, true).unwrap();
    let id = user.client.send(&room("r"), "x", Some(parent)).unwrap().to_string();

    let mut peer = node.settle("r").await;
    let (first, second) = (peer.hear().await, peer.hear().await);
    assert_eq!((&first.payload["id"], &second.payload["id"]), (&json!(id), &json!(id)));
    let trace =
        |heard: &crate::script::Heard| heard.payload["traceparent"].as_str().unwrap().parse::<TraceParent>().unwrap();
    assert_eq!(trace(&first), parent);
    assert_eq!(trace(&second).trace_id(), parent.trace_id());
    assert_ne!(trace(&second).span_id(), parent.span_id());
    user.until(|what| matches!(what, What::TimedOut { attempt: 1, .. }).then_some(())).await;

    // A late ack of the first attempt is the same promise; the second attempt's own is told apart.
    peer.ack(&first, 3).await;
    peer.ack(&second, 3).await;
    user.until(|what| matches!(what, What::Acked { attempt: 1, .. }).then_some(())).await;
    user.until(|what| matches!(what, What::AckedLate { attempt: 2, .. }).then_some(())).await;
}

#[tokio::test]
async fn a_cut_connection_brings_the_same_message_to_the_next_one_first() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("r"), None);
    let ids = [user.send("r", "1"), user.send("r", "2")];

    let mut peer = node.settle("r").await;
    assert_eq!(peer.hear().await.payload["id"], json!(ids[0]));
    drop(peer);
    user.until(|what| matches!(what, What::Cut { attempt: 1, .. }).then_some(())).await;

    let mut peer = node.settle("r").await;
    for id in &ids {
        let heard = peer.hear().await;
        assert_eq!(heard.payload["id"], json!(id));
        peer.ack(&heard, 1).await;
    }
}

#[tokio::test]
async fn one_message_per_room_is_in_flight() {
    let node = Node::bind().await;
    let (user, mut peer) = User::start_in_both(&node, ["a", "b"]).await;

    let (a1, a2, b1) = (user.send("a", "a1"), user.send("a", "a2"), user.send("b", "b1"));
    let mut first = [peer.hear().await, peer.hear().await];
    first.sort_by_key(|heard| heard.payload["content"].as_str().map(str::to_owned));
    assert_eq!(first.each_ref().map(|heard| &heard.payload["id"]), [&json!(a1), &json!(b1)]);
    assert_eq!((user.client.queue().in_flight, user.client.queue().waiting), (2, 1));
    peer.ack(&first[0], 1).await;
    assert_eq!(peer.hear().await.payload["id"], json!(a2));
}

#[tokio::test]
async fn when_the_queue_is_full_the_oldest_never_sent_goes_and_is_counted() {
    let node = Node::bind().await;
    let mut config = quick(&[&node]);
    config.queue_limit = 3;
    let mut user = User::start(config);
    user.client.join(room("r"), None);
    let in_flight = user.send("r", "0");
    let mut peer = node.settle("r").await;
    let heard = peer.hear().await;

    let ids: Vec<String> = (1..=4).map(|n| user.send("r", &n.to_string())).collect();
    for lost in &ids[..2] {
        let gone = user
            .until(|what| match what {
                What::Overflowed { id, .. } => Some(id.to_string()),
                _ => None,
            })
            .await;
        assert_eq!(gone, *lost);
    }
    let queue = user.client.queue();
    assert_eq!((queue.waiting, queue.in_flight, queue.overflowed), (2, 1, 2));

    assert_eq!(heard.payload["id"], json!(in_flight), "what was sent is never given up for room");
    peer.ack(&heard, 1).await;
    assert_eq!(peer.hear().await.payload["id"], json!(ids[2]));
}

#[tokio::test]
async fn a_rate_limit_is_waited_out() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("r"), None);
    let id = user.send("r", "x");
    let mut peer = node.settle("r").await;
    let heard = peer.hear().await;
    let refused = Instant::now();
    peer.answer(&heard, Refusal::messages_limited(10, Duration::from_millis(120)).answer()).await;

    let heard = peer.hear().await;
    assert!(refused.elapsed() >= Duration::from_millis(120), "came back after {:?}", refused.elapsed());
    assert_eq!(heard.payload["id"], json!(id));
    user.until(|what| matches!(what, What::Refused { again: true, attempt: 1, .. }).then_some(())).await;
    peer.ack(&heard, 1).await;
    user.until(|what| matches!(what, What::Acked { attempt: 2, .. }).then_some(())).await;
}

#[tokio::test]
async fn a_refusal_ends_a_message_and_the_next_one_goes() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("r"), None);
    let (bad, good) = (user.send("r", "bad"), user.send("r", "good"));
    let mut peer = node.settle("r").await;
    let heard = peer.hear().await;
    peer.answer(&heard, Refusal::new(Code::RoomFull, "room is full").answer()).await;
    let refused = user
        .until(|what| match what {
            What::Refused { id, again: false, refusal, .. } => Some((id.to_string(), refusal.code)),
            _ => None,
        })
        .await;
    assert_eq!(refused, (bad, Code::RoomFull));
    assert_eq!(peer.hear().await.payload["id"], json!(good));
}

#[tokio::test]
async fn a_refusal_after_an_unanswered_attempt_proves_nothing() {
    let node = Node::bind().await;
    let mut config = quick(&[&node]);
    config.ack_timeout = Duration::from_millis(40);
    let mut user = User::start(config);
    user.client.join(room("r"), None);
    user.send("r", "x");
    let mut peer = node.settle("r").await;
    let _unanswered = peer.hear().await;
    let second = peer.hear().await;
    peer.answer(&second, Refusal::new(Code::NotInRoom, "no").answer()).await;
    let why = user
        .until(|what| match what {
            What::Unknown { why, .. } => Some(why.clone()),
            _ => None,
        })
        .await;
    assert!(matches!(why, Unresolved::Refused(refusal) if refusal.code == Code::NotInRoom));
}

#[tokio::test]
async fn beyond_the_horizon_a_message_is_not_sent_again_and_its_outcome_is_unknown() {
    let node = Node::bind().await;
    let mut config = quick(&[&node]);
    config.retry_horizon = Duration::from_millis(100);
    let mut user = User::start(config);
    user.client.join(room("r"), None);
    let old = user.send("r", "old");
    let mut peer = node.settle("r").await;
    peer.hear().await;
    drop(peer);

    // While there is no connection, time passes all the same.
    let (unknown, why) = user
        .until(|what| match what {
            What::Unknown { id, why, .. } => Some((id.to_string(), why.clone())),
            _ => None,
        })
        .await;
    assert_eq!((unknown, why), (old, Unresolved::Horizon));
    let new = user.send("r", "new");
    let mut peer = node.settle("r").await;
    assert_eq!(peer.hear().await.payload["id"], json!(new));
}

#[tokio::test]
async fn what_a_node_would_refuse_is_not_queued() {
    let node = Node::bind().await;
    let user = User::start(quick(&[&node]));
    let code = |content: &str| user.client.send(&room("r"), content, None).unwrap_err().code;
    assert_eq!(code("x"), Code::NotInRoom);
    user.client.join(room("r"), None);
    assert_eq!([code(""), code("   "), code(&"x".repeat(1001))], [Code::InvalidPayload; 3]);
    assert_eq!(user.client.queue().held(), 0);
}

#[tokio::test]
async fn closing_says_goodbye_and_tells_what_became_of_every_message() {
    let node = Node::bind().await;
    let user = User::start(quick(&[&node]));
    user.client.join(room("r"), None);
    let (sent, waiting) = (user.send("r", "sent"), user.send("r", "waiting"));
    let mut peer = node.settle("r").await;
    peer.hear().await;
    let User { client, mut events, .. } = user;
    let ((), said) = within("close", async { tokio::join!(client.close(), peer.gone()) }).await;
    assert_eq!(said, ["41"]);

    let mut ends = Vec::new();
    while let Some(event) = events.recv().await {
        match event.what {
            What::Unknown { id, why: Unresolved::Closed, .. } => ends.push(("unknown", id.to_string())),
            What::Unsent { id, .. } => ends.push(("unsent", id.to_string())),
            _ => {}
        }
    }
    assert_eq!(ends, [("unknown", sent), ("unsent", waiting)]);
}
