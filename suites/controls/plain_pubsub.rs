//! The stock Redis adapter instead of the log: after the loss of the primary that carries its channel, nodes are deaf
//! to each other, with healthy connections and no error.

use std::time::Duration;

use chaos_checkers::Rule;
use chaos_cluster::{RespValue, Server, slot_of_key, slot_of_room};
use chaos_faults::{Inject, Kill, RedisTarget, Target};

use super::caught;
use crate::{
    primary_loss::crowd,
    stage::Stage,
    verdict::{Close, Judged},
    wait::eventually,
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
