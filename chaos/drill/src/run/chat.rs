//! How the chat nodes of a drill are started: the settings of the reference node that the harness relies on.

use chaos_cluster::{ChatTopology, RedisTopology, Topology};

use super::Settings;
use crate::drill::Drill;

/// `otlp`: where the nodes send their spans.
pub(crate) fn topology(settings: &Settings, otlp: &str) -> Topology {
    let drill = &settings.plan.drill;
    Topology { redis: redis(drill), chat: chat(settings, otlp) }
}

fn redis(drill: &Drill) -> RedisTopology {
    let redis = &drill.cluster.redis;
    RedisTopology {
        node_timeout: redis.node_timeout.get(),
        appendonly: redis.appendonly,
        ..RedisTopology::new(redis.shards, redis.replicas_per_shard)
    }
}

fn chat(settings: &Settings, otlp: &str) -> ChatTopology {
    let cluster = &settings.plan.drill.cluster;
    let mut args: Vec<String> = ["--auth", "none"].map(str::to_owned).to_vec();
    let mut set = |name: &str, value: String| args.extend([format!("--{name}"), value]);
    set("ping-interval", cluster.ping_interval.to_string());
    set("ping-timeout", cluster.ping_timeout.to_string());
    set("history-window", cluster.history_window.to_string());
    set("delivery", cluster.delivery.to_string());
    set("fence", cluster.fence.to_string());
    if !settings.planted.node.is_empty() {
        set("broken", settings.planted.node.clone());
    }
    ChatTopology {
        args,
        otlp: Some(otlp.to_owned()),
        ..ChatTopology::reference(cluster.chat_nodes, settings.node.clone())
    }
}
