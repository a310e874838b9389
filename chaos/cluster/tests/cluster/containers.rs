//! The same in containers. (All of these tests run there with `HOLDFAST_BACKEND=containers`.)

use std::{
    fs,
    io::Write,
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use chaos_cluster::{Cluster, ContainerSettings, LinkEnd, LinkKind, ProcessState, Server};

use crate::stage::{PATIENCE, engine, options, topology};

#[tokio::test]
async fn containers_boot_fail_over_and_leave_nothing() {
    if !engine_runs() {
        return;
    }
    let mut options = options();
    options.containers = Some(ContainerSettings::default());
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

#[tokio::test]
async fn a_boot_that_is_given_up_is_gone_with_its_containers() {
    if !engine_runs() {
        return;
    }
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut options = options();
    options.containers = Some(ContainerSettings::default());
    options.temp = Some(place.path().to_owned());
    let mut label = String::new();
    let first_container = async {
        let until = Instant::now() + PATIENCE;
        while label.is_empty() || of_run(&label, &["ps", "-aq"]) == 0 {
            assert!(Instant::now() < until, "no container of {label:?}");
            let folder = fs::read_dir(place.path()).expect("a folder").flatten().next();
            label = folder.map(|folder| folder.file_name().to_string_lossy().into_owned()).unwrap_or_default();
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        booted = Cluster::start(topology(), options) => panic!("{booted:?} before a container was seen"),
        () = first_container => {}
    }
    assert_eq!(of_run(&label, &["ps", "-aq"]), 0, "containers were left");
    assert_eq!(of_run(&label, &["network", "ls", "-q"]), 0, "a network was left");
}

/// A shell is the first process of the container, and Redis its child.
#[tokio::test]
async fn what_is_done_to_a_container_is_done_to_the_server_and_not_only_to_its_first_process() {
    if !engine_runs() {
        return;
    }
    let image = behind_a_shell(&engine().program);
    let mut options = options();
    options.containers = Some(ContainerSettings { redis: Some(image), ..ContainerSettings::default() });
    let mut one = topology();
    (one.redis.shards, one.redis.replicas_per_shard) = (1, 0);
    let cluster = Cluster::start(one, options).await.expect("a cluster");
    let (server, run) = (Server::Redis(1), cluster.data_directory(Server::Redis(1)));
    let run = run.parent().and_then(Path::file_name).expect("the run's folder").to_string_lossy().into_owned();
    let pid = cluster.pid(server).expect("it runs");
    let answers = async || cluster.view().await.node(server).is_some();
    assert!(answers().await);

    // Whoever looks at the first process alone takes this for a pause.
    docker(&["kill", "--signal", "STOP", &format!("{run}-{server}")]);
    while !fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is there").contains(" T ") {
        tokio::task::yield_now().await;
    }
    assert!(answers().await);
    assert_eq!((cluster.state(server), cluster.life(server, pid)), (ProcessState::Running, ProcessState::Running));

    cluster.pause(server).await.expect("paused");
    assert!(!answers().await, "it hangs, and answers");
    assert_eq!((cluster.state(server), cluster.life(server, pid)), (ProcessState::Paused, ProcessState::Paused));
    cluster.resume(server).await.expect("resumed");
    let until = Instant::now() + PATIENCE;
    while !answers().await {
        assert!(Instant::now() < until, "it was resumed, and hangs");
    }

    let error =
        cluster.terminate(server, Duration::from_millis(200)).await.expect_err("a shell ignores it").to_string();
    let why = "SIGTERM goes to the first process of its container (`sh`)";
    assert!(error.contains("was terminated and is running") && error.contains(why), "{error}");

    cluster.kill(server).await.expect("killed");
    assert_eq!(cluster.life(server, pid), ProcessState::Ended);
    TcpStream::connect(cluster.direct_address(server)).expect_err("nobody listens there");
    cluster.shutdown().await.expect("a clean end");
}

/// An image with a program where it is here, a shell, and the libraries of both; the shell stays, and runs its command.
fn behind_a_shell(program: &Path) -> String {
    const NAME: &str = "holdfast/behind-a-shell:test";
    const SCRIPT: &str = r#"
        libraries=$(ldd /bin/sh "$1" | grep -o '/[^ ]*' | grep -v ':$' | sort -u)
        tar --create --dereference --absolute-names /bin/sh "$1" $libraries |
            docker import --change 'ENTRYPOINT ["/bin/sh", "-c", "\"$@\"; exit $?", "sh"]' - "$2"
    "#;
    let made = Command::new("sh").args(["-ec", SCRIPT, "image"]).arg(program).arg(NAME).output().expect("a shell");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    NAME.to_owned()
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
    docker(&[what, &["--filter", &filter]].concat()).lines().count()
}

fn docker(arguments: &[&str]) -> String {
    let said = Command::new("docker").args(arguments).output().expect("docker answers");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).into_owned()
}
