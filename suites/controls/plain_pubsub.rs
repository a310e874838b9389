//! The stock Redis adapter instead of the log: after the loss of the primary that carries its channel, nodes are deaf
//! to each other, with healthy connections and no error.

use std::time::Duration;

use chaos_checkers::Rule;
use chaos_cluster::{RespValue, Server, slot_of_key, slot_of_room};
use chaos_faults::{Inject, Kill, RedisTarget, Target};
use serde_json::json;

use super::caught;
use crate::{
    primary_loss::crowd,
    stage::Stage,
    stock_client::StockClient,
    verdict::{Close, Judged},
    wait::{PATIENCE, eventually},
    warm::{Set, play},
};

/// So many messages are acknowledged while nodes are deaf to each other.
const ACKED: u64 = 100;

#[test]
fn plain_pubsub_is_caught() {
    play(caught(Rule::R1, &["--delivery", "pubsub"], lose_the_channel));
}

#[test]
fn where_plain_pubsub_is_deaf_the_log_is_not() {
    play(async { lose_the_channel(Set::usual(), Close::exercising(&[Rule::R1, Rule::R7])).await.must_pass() });
}

/// As far as a client sees: it may come back with an offset, and gets neither one nor what it missed.
#[test]
fn plain_pubsub_delivers_without_offsets_and_keeps_no_history() {
    play(async {
        let stage = Stage::set(Set::usual().flags(&["--delivery", "pubsub"])).await;
        let (one, other) = (stage.door(1), stage.door(2));
        let place = "00000000000100000002";
        let mut ann = StockClient::join(&one, "ann", "r", None).await.expect("ann is in");
        let joined = json!({ "room": "r", "recovered": true });
        assert_eq!(ann.joined, joined);
        let ack = ann.ask("chat-message", &json!({ "content": "for whoever is here", "room": "r" })).await;
        let ack = ann.answer(ack.expect("a question"), PATIENCE).await.expect("an answer");
        assert!(ack["id"].is_string() && ack["timestamp"].is_number() && ack.get("offset").is_none(), "{ack}");

        let mut bob = StockClient::join(&other, "bob", "r", Some(place)).await.expect("bob is in");
        assert_eq!(bob.joined, json!({ "room": "r", "recovered": false }), "what he missed is nowhere");
        // Until the other node listens, nothing comes from it.
        let heard = async || {
            ann.ask("chat-message", &json!({ "content": "hello", "room": "r" })).await.expect("a question");
            bob.read_until(Duration::from_millis(200), |received| !received.is_empty()).await.then_some(())
        };
        eventually("that bob hears ann on the other node", heard).await;
        let said = &bob.received[0];
        assert_eq!((&said["content"], said.get("offset")), (&json!("hello"), None), "{said}");
    });
}

/// The log has no such channel: with it, the primary of a room dies.
async fn lose_the_channel(set: Set, close: Close) -> Judged {
    let mut stage = Stage::set(set).await;
    let channel = stage.slot_of_the_channel().await;
    let mut targets = stage.targets();
    targets.offsets = channel.is_none();
    let load = stage.steady_on(&crowd(), Duration::from_secs(2), targets).await;
    let slot = channel.unwrap_or_else(|| slot_of_room(&load.busiest_room()));

    let primary = stage.cluster().primary_of_slot(slot).await.unwrap_or_else(|error| panic!("{error}"));
    let killed = stage.inject(Inject::Kill(Kill(Target::Redis(RedisTarget::PrimaryOfSlot(slot)))), Some(&load)).await;
    stage.until_replaced_at(primary, slot).await;
    stage.until_acked_everywhere(&load).await;
    let enough = load.counts().acked + ACKED;
    eventually("acks after the promotion", async || (load.counts().acked >= enough).then_some(())).await;
    stage.heal(killed).await;

    stage.close(load, close).await
}

impl Stage {
    /// Where the adapter's nodes listen for what is for everyone.
    async fn slot_of_the_channel(&self) -> Option<u16> {
        for server in self.cluster().servers().into_iter().filter(|server: &Server| server.is_redis()) {
            let Ok(RespValue::List(channels)) = self.cluster().ask(server, &["PUBSUB", "SHARDCHANNELS"]).await else {
                continue;
            };
            let everyone = channels.into_iter().find_map(|channel| match channel {
                RespValue::Text(name) if is_for_everyone(&name) => Some(name),
                _ => None,
            });
            if let Some(channel) = everyone {
                return Some(slot_of_key(&channel));
            }
        }
        None
    }
}

/// `{prefix}-request#{namespace}#`; a node's own channel has its id behind that.
fn is_for_everyone(channel: &str) -> bool {
    channel.contains("-request#") && channel.matches('#').count() == 2
}
