//! Coming back: from where, and what is shown.

use std::time::Duration;

use serde_json::json;
use system_client::What;

use crate::script::{Node, User, joined, message, offset, quick, room};

#[tokio::test]
async fn every_room_is_joined_again_where_its_last_received_message_was() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("a"), None);
    let (mut peer, auth) = node.welcome().await;
    assert_eq!(auth, json!({ "token": "token", "room": "a" }));
    peer.say("joined", joined("a", 5, 5, true)).await;
    user.client.join(room("b"), Some(offset(2)));
    let join = peer.hear().await;
    assert_eq!((join.event.as_str(), &join.payload), ("join", &json!({ "room": "b", "offset": offset(2) })));
    peer.answer(&join, joined("b", 2, 4, true)).await;
    for (room, seq) in [("a", 6), ("b", 3), ("a", 7)] {
        peer.say("chat-message", message(room, seq)).await;
    }
    assert_eq!(user.receipts(3).await, [(6, false, false), (3, true, false), (7, false, false)]);
    drop(peer);

    let (mut peer, auth) = node.welcome().await;
    assert_eq!(auth, json!({ "token": "token", "room": "a", "offset": offset(7) }));
    let join = peer.hear().await;
    assert_eq!(join.payload, json!({ "room": "b", "offset": offset(3) }));
}

#[tokio::test]
async fn what_comes_after_a_resume_is_replay_up_to_the_head_and_live_behind_it() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("r"), Some(offset(3)));
    let (mut peer, auth) = node.welcome().await;
    assert_eq!(auth["offset"], json!(offset(3)));
    peer.say("joined", joined("r", 3, 5, true)).await;
    for seq in 4..=6 {
        peer.say("chat-message", message("r", seq)).await;
    }
    assert_eq!(user.receipts(3).await, [(4, true, false), (5, true, false), (6, false, false)]);
    assert_eq!(user.client.position(&room("r")), Some(offset(6)));
}

#[tokio::test]
async fn a_duplicate_is_told_as_hidden_and_moves_nothing() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("r"), None);
    let mut peer = node.settle("r").await;
    for seq in [1, 2, 1, 2, 3] {
        peer.say("chat-message", message("r", seq)).await;
    }
    let hidden: Vec<bool> = user.receipts(5).await.into_iter().map(|(_, _, hidden)| hidden).collect();
    assert_eq!(hidden, [false, false, true, true, false]);
    assert_eq!(user.client.position(&room("r")), Some(offset(3)));
}

#[tokio::test]
async fn without_recovery_the_nodes_offset_counts_even_if_it_is_lower() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("r"), Some(offset(90)));
    let (mut peer, _) = node.welcome().await;
    peer.say("joined", joined("r", 4, 4, false)).await;
    peer.say("chat-message", message("r", 5)).await;
    assert_eq!(user.receipts(1).await, [(5, false, false)]);
    drop(peer);
    let (_peer, auth) = node.welcome().await;
    assert_eq!(auth["offset"], json!(offset(5)));
}

#[tokio::test]
async fn a_message_before_joined_is_told_but_not_shown_and_the_resume_does_not_skip_it() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("r"), Some(offset(3)));
    let (mut peer, _) = node.welcome().await;
    peer.say("chat-message", message("r", 4)).await;
    assert_eq!(user.receipts(1).await, [(4, false, true)]);
    peer.say("joined", joined("r", 3, 4, true)).await;
    peer.say("chat-message", message("r", 4)).await;
    assert_eq!(user.receipts(1).await, [(4, true, false)]);
}

#[tokio::test]
async fn a_node_without_a_log_is_understood() {
    let node = Node::bind().await;
    let mut config = quick(&[&node]);
    config.ack_timeout = Duration::from_mins(1);
    let mut user = User::start(config);
    user.client.join(room("r"), None);
    user.send("r", "x");
    let (mut peer, _) = node.welcome().await;
    peer.say("joined", json!({ "room": "r", "recovered": true })).await;
    let heard = peer.hear().await;
    peer.answer(&heard, json!({ "id": heard.payload["id"], "timestamp": 1 })).await;
    let mut plain = message("r", 0);
    plain.as_object_mut().unwrap().remove("offset");
    peer.say("chat-message", plain).await;
    let hidden = user
        .until(|what| match what {
            What::Received { hidden, replay, .. } => Some((*hidden, *replay)),
            _ => None,
        })
        .await;
    assert_eq!(hidden, (false, false));
}

#[cfg(debug_assertions)]
#[tokio::test]
async fn a_planted_loss_loses_the_named_message_without_a_trace() {
    let node = Node::bind().await;
    let mut config = quick(&[&node]);
    config.drop_received = Some(2);
    let mut user = User::start(config);
    user.client.join(room("r"), None);
    let mut peer = node.settle("r").await;
    for seq in 1..=3 {
        peer.say("chat-message", message("r", seq)).await;
    }
    assert_eq!(user.receipts(2).await, [(1, false, false), (3, false, false)]);
}
