//! Joining and leaving.

use std::time::{Duration, Instant};

use serde_json::json;
use system_client::{What, Why};
use system_protocol::{Code, Refusal};

use crate::script::{Node, User, joined, message, offset, quick, room};

#[tokio::test]
async fn a_room_is_left_and_what_waited_there_is_given_up() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("r"), None);
    let (sent, waiting) = (user.send("r", "1"), user.send("r", "2"));
    let mut peer = node.settle("r").await;
    let heard = peer.hear().await;

    user.client.leave(&room("r"));
    let unsent = user
        .until(|what| match what {
            What::Unsent { id, .. } => Some(id.to_string()),
            _ => None,
        })
        .await;
    assert_eq!(unsent, waiting);
    let leave = peer.hear().await;
    assert_eq!((leave.event.as_str(), &leave.payload), ("leave", &json!({ "room": "r" })));
    // Until the node says so we are still in, and what was on the wire may still be acked.
    peer.say("chat-message", message("r", 1)).await;
    peer.ack(&heard, 1).await;
    peer.answer(&leave, json!({ "room": "r", "offset": offset(1) })).await;
    assert_eq!(user.receipts(1).await, [(1, false, false)]);
    user.until(|what| matches!(what, What::Acked { id, .. } if id.as_str() == sent).then_some(())).await;
    let left = user
        .until(|what| match what {
            What::Left { left } => Some(left.offset),
            _ => None,
        })
        .await;
    assert_eq!(left, Some(offset(1)));
}

#[tokio::test]
async fn a_room_that_was_left_is_not_joined_again_after_a_reconnect() {
    let node = Node::bind().await;
    let (mut user, mut peer) = User::start_in_both(&node, ["a", "b"]).await;
    user.client.leave(&room("a"));
    assert_eq!(peer.hear().await.event, "leave");
    drop(peer);

    user.until(|what| matches!(what, What::Left { .. }).then_some(())).await;
    let (_peer, auth) = node.welcome().await;
    assert_eq!(auth["room"], json!("b"));
}

#[tokio::test]
async fn a_room_left_and_wanted_again_is_left_first() {
    let node = Node::bind().await;
    let (user, mut peer) = User::start_in(&node, "r").await;
    user.client.leave(&room("r"));
    user.client.join(room("r"), Some(offset(1)));

    let leave = peer.hear().await;
    assert_eq!(leave.event, "leave");
    peer.answer(&leave, json!({ "room": "r", "offset": offset(5) })).await;
    let join = peer.hear().await;
    assert_eq!((join.event.as_str(), &join.payload), ("join", &json!({ "room": "r", "offset": offset(1) })));
}

#[tokio::test]
async fn a_refused_room_is_given_up_and_the_others_stay() {
    let node = Node::bind().await;
    let (mut user, mut peer) = User::start_in(&node, "a").await;
    user.client.join(room("b"), None);
    let waiting = user.send("b", "x");
    let join = peer.hear().await;
    peer.answer(&join, Refusal::new(Code::RoomForbidden, "not for you").answer()).await;

    user.until(|what| {
        matches!(what, What::JoinRefused { refusal, .. } if refusal.code == Code::RoomForbidden).then_some(())
    })
    .await;
    user.until(|what| matches!(what, What::Unsent { id, .. } if id.as_str() == waiting).then_some(())).await;
    peer.say("chat-message", message("a", 1)).await;
    assert_eq!(user.receipts(1).await, [(1, false, false)]);
}

#[tokio::test]
async fn a_limit_on_joins_is_waited_out_on_the_same_connection() {
    let node = Node::bind().await;
    let (user, mut peer) = User::start_in(&node, "a").await;
    user.client.join(room("b"), Some(offset(1)));
    let waiting = user.send("b", "x");
    let join = peer.hear().await;
    let refused = Instant::now();
    peer.answer(&join, Refusal::joins_limited(1, Duration::from_millis(120)).answer()).await;

    let again = peer.hear().await;
    assert!(refused.elapsed() >= Duration::from_millis(120), "came back after {:?}", refused.elapsed());
    assert_eq!((&again.event, &again.payload), (&join.event, &join.payload), "with nothing sent before");
    peer.answer(&again, joined("b", 1, 1, true)).await;
    assert_eq!(peer.hear().await.payload["id"], json!(waiting));
}

#[tokio::test]
async fn a_room_that_is_left_while_joins_are_limited_is_joined_no_more() {
    let node = Node::bind().await;
    let (mut user, mut peer) = User::start_in(&node, "a").await;
    user.client.join(room("b"), None);
    let join = peer.hear().await;
    user.client.leave(&room("b"));
    peer.answer(&join, Refusal::joins_limited(1, Duration::from_millis(1)).answer()).await;
    user.until(|what| matches!(what, What::Left { left } if left.room == room("b")).then_some(())).await;
    let sent = user.send("a", "x");
    assert_eq!(peer.hear().await.payload["id"], json!(sent), "neither a join nor a leave");
}

#[tokio::test]
async fn a_bad_token_stops_the_client_until_it_is_renewed() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("r"), None);
    let mut peer = node.accept().await;
    peer.handshake().await;
    let refusal = Refusal::new(Code::TokenExpired, "expired");
    peer.raw(&format!("44{}", refusal.connect_error())).await;
    let why = user
        .until(|what| match what {
            What::Unreachable { why, .. } => Some(why.clone()),
            _ => None,
        })
        .await;
    assert_eq!(why, Why::Rejected(refusal));

    user.client.renew("fresh");
    let (_peer, auth) = node.welcome().await;
    assert_eq!(auth["token"], json!("fresh"));
}
