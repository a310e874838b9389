//! The same in containers. (All of these tests run there with `HOLDFAST_BACKEND=containers`.)

use std::{io::Write, process::Command, time::Instant};

use chaos_cluster::{Cluster, ImageNames, LinkEnd, LinkKind, ProcessState, Server};

use crate::stage::{PATIENCE, options, topology};

#[tokio::test]
async fn containers_boot_fail_over_and_leave_nothing() {
    if !engine_runs() {
        return;
    }
    let mut options = options();
    options.containers = Some(ImageNames::default());
    let mut small = topology();
    small.redis.replicas_per_shard = 1;
    let started = Instant::now();
    let cluster = Cluster::start(small, options).await.expect("a cluster");
    eprintln!("boot of 3 × (1 + 1) containers on {}: {:?}", cluster.engine(), started.elapsed());
    let run = cluster.data_directory(Server::Redis(1)).parent().expect("the run's folder").to_owned();
    let label = run.file_name().expect("its name").to_string_lossy().into_owned();
    assert_eq!(of_run(&label, &["ps", "-q"]), 6, "containers");
    let bus = cluster.links().carried(LinkEnd::Redis(1), LinkEnd::Redis(4), LinkKind::Bus);
    let replication = cluster.links().carried(LinkEnd::Redis(1), LinkEnd::Redis(4), LinkKind::Replication);
    assert!(bus.passed > 0 && replication.passed > 0, "not through the proxy: {bus:?} {replication:?}");

    let primary = Server::Redis(1);
    let address = cluster.direct_address(primary);
    cluster.kill(primary).await.expect("killed");
    assert_eq!(cluster.state(primary), ProcessState::Ended);
    cluster.restart_when_replaced(primary, PATIENCE).await.expect("started again");
    assert_eq!(cluster.direct_address(primary), address, "it came back somewhere else");
    let view = cluster.wait_until_level(PATIENCE).await.expect("level");
    assert_eq!(view.primary_of_slot(0), Some(Server::Redis(4)));

    cluster.shutdown().await.expect("a clean end");
    assert_eq!(of_run(&label, &["ps", "-aq"]), 0, "containers were left");
    assert_eq!(of_run(&label, &["network", "ls", "-q"]), 0, "a network was left");
}

/// Whoever has no engine reads so; in CI it is a failure.
fn engine_runs() -> bool {
    let asked = Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output();
    let runs = asked.is_ok_and(|answer| answer.status.success());
    assert!(runs || std::env::var_os("CI").is_none_or(|ci| ci != "true"), "no Docker engine answers `docker version`");
    if !runs {
        // Past the test harness, which shows nothing of a test that passes.
        let told = "NOT RUN: the containers backend; no Docker engine answers `docker version`\n";
        std::io::stderr().write_all(told.as_bytes()).expect("somebody who reads it");
    }
    runs
}

fn of_run(label: &str, what: &[&str]) -> usize {
    let filter = format!("label=holdfast.run={label}");
    let said = Command::new("docker").args(what).args(["--filter", &filter]).output().expect("docker answers");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).lines().count()
}
