//! The redis.conf of a node: what docs/delivery.md asks of a Redis Cluster, and what the fault proxy needs.

use std::{collections::BTreeMap, fmt::Write, net::SocketAddr, path::PathBuf, time::Duration};

use crate::{Engine, RedisTopology, backend::Launch, ground::BUS};

/// In the node's data directory.
pub(crate) const FILE: &str = "redis.conf";

/// For so many node timeouts a primary counts a replica that says nothing as attached, and its shard acks nothing.
const SILENT_REPLICA: u32 = 10;
/// Seconds. Well above the replica's ping period; and Redis's own default, since more would help nobody.
const SILENCE: (u64, u64) = (5, 60);

/// `repl-timeout`, in whole seconds: how long both ends of a replication link put up with silence.
pub fn repl_timeout(node_timeout: Duration) -> Duration {
    Duration::from_secs((node_timeout * SILENT_REPLICA).as_secs().clamp(SILENCE.0, SILENCE.1))
}

/// The same on every node.
pub(crate) fn settings(redis: &RedisTopology) -> BTreeMap<String, String> {
    let timeout = redis.node_timeout.as_millis().to_string();
    let silence = repl_timeout(redis.node_timeout).as_secs().to_string();
    let fixed = [
        ("appendfsync", "everysec"),
        ("appendonly", if redis.appendonly { "yes" } else { "no" }),
        ("cluster-allow-pubsubshard-when-down", "no"),
        ("cluster-allow-replica-migration", "no"),
        ("cluster-enabled", "yes"),
        ("cluster-node-timeout", &timeout),
        ("cluster-replica-validity-factor", "10"),
        ("cluster-require-full-coverage", "no"),
        ("daemonize", "no"),
        ("enable-debug-command", "local"),
        ("maxmemory-policy", "noeviction"),
        ("protected-mode", "no"),
        // A replica's copy of its primary is no persistence: without AOF a node starts empty.
        ("rdb-del-sync-files", "yes"),
        ("repl-backlog-size", "64mb"),
        // Else replicas attach only after 5 s.
        ("repl-diskless-sync", "yes"),
        ("repl-diskless-sync-delay", "0"),
        ("repl-ping-replica-period", "1"),
        ("repl-timeout", &silence),
        ("save", "\"\""),
    ];
    let mut settings: BTreeMap<_, _> = fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    settings.extend(redis.settings.clone());
    settings
}

/// The whole file. `announced` differs from `own` by its address only.
pub(crate) fn file(redis: &RedisTopology, own: SocketAddr, announced: SocketAddr) -> String {
    let mut settings = settings(redis);
    let (own, port) = (own.ip().to_string(), own.port());
    let announced = announced.ip().to_string();
    for (name, value) in [
        ("port", port.to_string()),
        ("cluster-port", (port + BUS).to_string()),
        ("bind", own.clone()),
        ("bind-source-addr", own),
        ("cluster-announce-ip", announced.clone()),
        ("replica-announce-ip", announced),
        ("cluster-config-file", "nodes.conf".to_owned()),
    ] {
        settings.insert(name.to_owned(), value);
    }
    settings.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name} {value}");
        text
    })
}

/// Settings that a running node can be given, as CONFIG SET wants them.
pub(crate) fn changeable(redis: &RedisTopology) -> Vec<(String, String)> {
    let fixed = ["cluster-enabled", "daemonize", "enable-debug-command"];
    let settings = settings(redis).into_iter().filter(|(name, _)| !fixed.contains(&&**name));
    settings.map(|(name, value)| (name, value.trim_matches('"').to_owned())).collect()
}

pub(crate) fn launch(engine: &Engine) -> Launch {
    let library = |path: &PathBuf| ("LD_LIBRARY_PATH".to_owned(), path.display().to_string());
    Launch {
        program: engine.program.clone(),
        arguments: vec![FILE.to_owned()],
        environment: engine.library_path.iter().map(library).collect(),
        folder: None,
        inherits: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is promised of a deployment that drills do not have, and the other way round.
    #[test]
    fn deployments_are_set_as_drills_are() {
        let deployed = include_str!("../../../fixtures/deployments/redis/redis.conf");
        let lines = deployed.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
        let mut deployed: BTreeMap<_, _> = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut redis = RedisTopology::new(3, 2);
        redis.node_timeout = Duration::from_secs(2);
        let mut drilled = settings(&redis);
        assert!(deployed.remove("maxmemory").is_some(), "a machine is not full because a log is");
        // What some faults and the suites' warm servers need.
        drilled.remove("enable-debug-command");
        assert_eq!(deployed, drilled);
    }

    #[test]
    fn what_the_topology_says_wins() {
        let mut redis = RedisTopology::new(3, 1);
        redis.appendonly = false;
        redis.settings.insert("cluster-replica-validity-factor".to_owned(), "0".to_owned());
        let (own, announced) = (([127, 64, 0, 1], 10_001).into(), ([127, 64, 0, 101], 10_001).into());
        let file = file(&redis, own, announced);
        let lines: Vec<&str> = file.lines().collect();
        for line in [
            "appendonly no",
            "bind 127.64.0.1",
            "cluster-announce-ip 127.64.0.101",
            "cluster-node-timeout 1000",
            "cluster-replica-validity-factor 0",
            "port 10001",
            "repl-timeout 10",
        ] {
            assert!(lines.contains(&line), "{line:?} is missing in:\n{file}");
        }
    }
}
