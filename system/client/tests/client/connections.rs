//! Connections: liveness, broken frames, the next node, a node that drains.

use std::time::{Duration, Instant};

use serde_json::json;
use system_client::{Config, Notice, What, Why};
use system_protocol::{Code, Refusal};

use crate::script::{Node, User, joined, offset, quick, room};

/// Why the connection ended that was up.
async fn down(user: &mut User) -> Why {
    user.until(|what| match what {
        What::Down { why, .. } => Some(why.clone()),
        _ => None,
    })
    .await
}

async fn up(user: &mut User) -> usize {
    user.until(|what| match what {
        What::Up { node } => Some(*node),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn after_a_failure_the_next_node_is_tried() {
    let (first, second) = (Node::bind().await, Node::bind().await);
    let mut user = User::start(quick(&[&first, &second]));
    user.client.join(room("r"), None);
    drop(first.settle("r").await);
    assert_eq!(up(&mut user).await, 0);
    let _peer = second.settle("r").await;
    assert_eq!(up(&mut user).await, 1);
}

#[tokio::test]
async fn a_node_that_is_not_there_is_passed_over() {
    let (gone, there) = (Node::bind().await, Node::bind().await);
    let mut config = quick(&[&there, &gone]);
    config.start = 1;
    drop(gone);
    let mut user = User::start(config);
    user.client.join(room("r"), None);
    user.until(|what| matches!(what, What::Unreachable { node: 1, why: Why::Lost(_) }).then_some(())).await;
    let _peer = there.settle("r").await;
    assert_eq!(up(&mut user).await, 0);
}

#[tokio::test]
async fn the_delay_before_a_reconnect_keeps_its_bounds() {
    let node = Node::bind().await;
    let mut config = quick(&[&node]);
    config.backoff = (Duration::from_millis(40), Duration::from_millis(80));
    let mut user = User::start(config);
    user.client.join(room("r"), None);
    let mut gone: Option<Instant> = None;
    for _ in 0..4 {
        drop(node.accept().await);
        // The upper bound is the backoff's own unit test: here the machine's load would be measured.
        assert!(gone.is_none_or(|gone| gone.elapsed() >= Duration::from_millis(40)), "after {gone:?}");
        gone = Some(loop {
            let event = user.event().await;
            if matches!(event.what, What::Unreachable { .. }) {
                break event.at;
            }
        });
    }
}

#[tokio::test]
async fn pings_are_answered_and_a_silent_node_is_left() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("r"), None);
    let mut peer = node.accept().await;
    peer.handshake_with(200, 200).await;
    peer.raw(r#"40{"sid":"s"}"#).await;
    peer.say("joined", joined("r", 0, 0, true)).await;
    let began = Instant::now();
    let mut last = began;
    while began.elapsed() < Duration::from_millis(700) {
        last = Instant::now();
        peer.raw("2").await;
        assert_eq!(peer.frame().await, "3");
    }
    assert_eq!(down(&mut user).await, Why::Silent(Duration::from_millis(400)));
    assert!(last.elapsed() >= Duration::from_millis(400), "left {:?} after a ping", last.elapsed());
}

#[tokio::test]
async fn a_node_that_never_answers_connect_is_left() {
    let node = Node::bind().await;
    let mut config = quick(&[&node]);
    config.connect_timeout = Duration::from_millis(50);
    let mut user = User::start(config);
    user.client.join(room("r"), None);
    let mut peer = node.accept().await;
    peer.handshake().await;
    user.until(|what| matches!(what, What::Unreachable { why: Why::Unanswered(..), .. }).then_some(())).await;
}

#[tokio::test]
async fn a_node_that_never_answers_a_join_is_left() {
    let node = Node::bind().await;
    let mut config = quick(&[&node]);
    config.join_timeout = Duration::from_millis(50);
    let mut user = User::start(config);
    user.client.join(room("r"), None);
    let (_peer, _) = node.welcome().await;
    assert_eq!(down(&mut user).await, Why::Unanswered("join or leave", Duration::from_millis(50)));
}

#[tokio::test]
async fn a_malformed_frame_ends_the_connection_and_the_client_comes_back() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("r"), None);
    let strange = json!({ "id": "m", "room": "r" });
    for frame in
        ["", "7", "4", "42{", "439[1]", "451-[\"x\"]", "0{}", &format!("42{}", json!(["chat-message", strange]))]
    {
        let mut peer = node.settle("r").await;
        peer.raw(frame).await;
        let why = down(&mut user).await;
        assert!(matches!(why, Why::Malformed(_)), "{frame:?} gave {why:?}");
    }
    let _peer = node.settle("r").await;
    up(&mut user).await;
}

#[tokio::test]
async fn from_a_draining_node_the_client_moves_on_when_its_ack_has_come() {
    let (first, second) = (Node::bind().await, Node::bind().await);
    let mut user = User::start(quick(&[&first, &second]));
    user.client.join(room("r"), None);
    let (sent, held) = (user.send("r", "sent"), user.send("r", "held"));
    let mut peer = first.settle("r").await;
    let heard = peer.hear().await;
    peer.say("draining", json!({ "reconnect_within_ms": 60_000 })).await;
    user.until(|what| matches!(what, What::Notice { notice: Notice::Draining { .. } }).then_some(())).await;
    user.client.join(room("later"), None);
    peer.ack(&heard, 1).await;
    user.until(|what| matches!(what, What::Acked { id, .. } if id.as_str() == sent).then_some(())).await;
    assert_eq!(down(&mut user).await, Why::Draining);
    assert_eq!(peer.gone().await, ["41"], "nothing new is sent to a draining node");

    let (mut peer, auth) = second.welcome().await;
    assert_eq!(
        (&auth["room"], peer.hear().await.payload),
        (&json!("later"), json!({ "room": "r", "offset": offset(0) }))
    );
    peer.say("joined", joined("r", 0, 0, true)).await;
    assert_eq!(peer.hear().await.payload["id"], json!(held));
}

#[tokio::test]
async fn a_node_that_refuses_because_it_drains_is_left_with_the_message() {
    let (first, second) = (Node::bind().await, Node::bind().await);
    let mut user = User::start(quick(&[&first, &second]));
    user.client.join(room("r"), None);
    let id = user.send("r", "x");
    let mut peer = first.settle("r").await;
    let heard = peer.hear().await;
    peer.answer(&heard, Refusal::new(Code::Draining, "going down").answer()).await;
    user.until(|what| matches!(what, What::Refused { again: true, .. }).then_some(())).await;
    let mut peer = second.settle("r").await;
    assert_eq!(peer.hear().await.payload["id"], json!(id));
}

#[tokio::test]
async fn a_client_can_be_closed_while_it_cannot_connect() {
    let node = Node::bind().await;
    let mut config = Config::new(&[node.url()], "t").unwrap();
    config.backoff = (Duration::from_mins(10), Duration::from_mins(10));
    drop(node);
    let mut user = User::start(config);
    user.client.join(room("r"), None);
    user.until(|what| matches!(what, What::Unreachable { .. }).then_some(())).await;
    crate::script::within("close", user.client.close()).await;
}

#[tokio::test]
async fn an_ack_that_names_another_message_is_not_believed() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("r"), None);
    let id = user.send("r", "x");
    let mut peer = node.settle("r").await;
    let heard = peer.hear().await;
    peer.answer(&heard, json!({ "id": "another", "offset": offset(1), "timestamp": 1 })).await;
    assert!(matches!(down(&mut user).await, Why::Malformed(_)));
    let mut peer = node.settle("r").await;
    assert_eq!(peer.hear().await.payload["id"], json!(id));
}

/// The message that was in flight goes again, with its id.
#[tokio::test]
async fn after_its_token_has_expired_a_client_waits_for_another_and_resumes() {
    let node = Node::bind().await;
    let mut user = User::start(quick(&[&node]));
    user.client.join(room("r"), None);
    let id = user.send("r", "x");
    let mut peer = node.settle("r").await;
    assert_eq!(peer.hear().await.payload["id"], json!(id));
    let expired = Refusal::new(Code::TokenExpired, "Token expired");
    peer.say("error", expired.event()).await;
    peer.raw("41").await;
    assert_eq!(down(&mut user).await, Why::Rejected(expired));
    user.client.renew("fresh");
    let (mut peer, auth) = node.welcome().await;
    assert_eq!((&auth["token"], &auth["offset"]), (&json!("fresh"), &json!(offset(0))));
    peer.say("joined", joined("r", 0, 0, true)).await;
    assert_eq!(peer.hear().await.payload["id"], json!(id));
}
