//! Nothing is left when the harness is killed: its servers die with it, and the next run removes its files.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use chaos_cluster::{Cluster, Server};

use crate::{
    chat::{STAYS, behind_a_shell},
    stage::{as_processes, topology},
};

const FOLDER: &str = "HOLDFAST_TEST_FOLDER";

#[tokio::test]
async fn nothing_is_left_when_the_harness_is_killed() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut harness = harness(place.path());
    let servers = servers_of(&mut harness);
    // Nine Redis nodes, a shell, and the server that it started.
    assert_eq!(servers.len(), 11);
    assert!(servers.iter().all(|pid| runs(*pid)), "not all of {servers:?} run");

    harness.kill().expect("killed");
    harness.wait().expect("gone");

    let until = Instant::now() + Duration::from_secs(5);
    while servers.iter().any(|pid| runs(*pid)) {
        assert!(Instant::now() < until, "left behind: {servers:?}");
        tokio::task::yield_now().await;
    }
    assert_eq!(fs::read_dir(place.path()).expect("a folder").count(), 1, "the killed run's files");
    let mut next = as_processes();
    next.temp = Some(place.path().to_owned());
    let next = Cluster::start(topology(), next).await.expect("the next run");
    assert_eq!(fs::read_dir(place.path()).expect("a folder").count(), 1, "files of the killed run are still there");
    next.shutdown().await.expect("a clean end");
    assert_eq!(fs::read_dir(place.path()).expect("a folder").count(), 0, "files were left");
}

/// This very test binary, running the harness below; in a group of its own, so that Ctrl-C reaches it through us only.
fn harness(folder: &Path) -> Child {
    let this = std::env::current_exe().expect("a path");
    let mut command = Command::new(this);
    command.args(["--exact", "left_behind::a_harness_that_waits_to_be_killed", "--ignored", "--nocapture"]);
    command.env(FOLDER, folder).process_group(0).stdout(Stdio::piped()).spawn().expect("a harness")
}

/// It prints their process ids when all are up.
fn servers_of(harness: &mut Child) -> Vec<u32> {
    let lines = BufReader::new(harness.stdout.take().expect("a pipe")).lines();
    let mut up = lines.map_while(Result::ok).filter_map(|line| line.split_once("up: ").map(|(_, ids)| ids.to_owned()));
    let ids = up.next().expect("the harness comes up");
    ids.split(' ').map(|id| id.parse().expect("a process id")).collect()
}

/// A zombie runs no more: whoever adopted it has not looked yet.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[tokio::test]
#[ignore = "not a test: the harness that the test above kills"]
async fn a_harness_that_waits_to_be_killed() {
    let mut options = as_processes();
    options.temp = Some(std::env::var_os(FOLDER).expect("started by the test above").into());
    let mut topology = topology();
    topology.chat = behind_a_shell(STAYS);
    let cluster = Cluster::start(topology, options).await.expect("a cluster");
    let mut ids: Vec<String> =
        cluster.servers().into_iter().filter_map(|server| cluster.pid(server)).map(|pid| pid.to_string()).collect();
    let shell = cluster.pid(Server::Chat(1)).expect("it runs");
    let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).expect("it has a child");
    ids.push(children.trim().to_owned());
    // A thread of its own writes, past what the test framework holds back.
    let line = format!("up: {}\n", ids.join(" "));
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).expect("written");
    std::future::pending::<()>().await;
}
