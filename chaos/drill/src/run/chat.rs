//! How the chat nodes of a drill are started.

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
    let drill = &settings.plan.drill;
    let (program, env) = drill.system.program(drill, &settings.node.display().to_string());
    let mut args = Vec::new();
    if !settings.planted.node.is_empty() {
        args.extend(["--broken".to_owned(), settings.planted.node.clone()]);
    }
    ChatTopology { nodes: drill.cluster.chat_nodes, program, args, env, otlp: Some(otlp.to_owned()) }
}
