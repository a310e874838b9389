//! The harness is killed at a random moment, and nothing that it started is left; the next run works. What is left in
//! containers where its reaper is killed, too, the next run removes.
//!
//! The harness is this very test, started again as a process of its own, which boots a cluster and waits to be killed.

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use chaos_cluster::{ChatTopology, Cluster, EngineChoice, Options, RedisTopology, Topology};
use chaos_drill::Backend;

use crate::{
    wait::{PATIENCE, not_tested},
    warm::{fresh_seed, ground, in_containers, node_program, place, place_on, play, turn},
};

/// The last of them is when the cluster is complete.
const MOMENTS: u32 = 10;
/// Booting takes about so long, so that most moments fall into it.
fn latest() -> Duration {
    if in_containers() { Duration::from_millis(4500) } else { Duration::from_millis(2200) }
}

/// Nine Redis processes and three chat nodes.
const COMPLETE: usize = 12;
const LOOK: Duration = Duration::from_millis(20);
/// Containers are removed after several looks and by commands, each of which takes its time on a busy machine.
fn gone_within() -> Duration {
    Duration::from_secs(if in_containers() { 60 } else { 5 })
}
/// Where the started harness makes its cluster.
const HOME: &str = "HOLDFAST_HARNESS_HOME";
/// Set: it ends by itself when the cluster runs.
const ONCE: &str = "HOLDFAST_HARNESS_ONCE";
/// Set: its cluster is one Redis.
const SMALL: &str = "HOLDFAST_HARNESS_SMALL";

#[test]
fn a_killed_harness_leaves_nothing_running() {
    // Forming so many clusters beside another scenario would slow that one down beyond its node timeout.
    let _turn = play(turn());
    let home = tempfile::tempdir_in(ground()).expect("a directory");
    let mut random = fresh_seed();
    eprintln!("seed {random}");
    for nth in 1..=MOMENTS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = latest().mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64);
        let mut harness = start(home.path(), false);
        let latest = Instant::now() + if nth == MOMENTS { PATIENCE } else { moment };
        while Instant::now() < latest && servers_below(home.path()) < COMPLETE {
            until(latest.min(Instant::now() + LOOK));
        }
        let started = servers_below(home.path());
        harness.kill().expect("it still runs");
        harness.wait().expect("it is our child");
        eprintln!("moment {nth}: killed with {started} processes, {moment:.1?} after its start at the latest");
        assert!(nth < MOMENTS || started == COMPLETE, "the cluster was never complete: {started} processes");
        assert_all_gone(home.path(), in_containers());
    }
    let next = start(home.path(), true).wait().expect("it is our child");
    assert!(next.success(), "the run after the killed ones: {next}");
    assert_all_gone(home.path(), in_containers());
}

/// As the kernel does with a job's whole control group.
#[test]
fn what_a_harness_left_that_was_killed_with_its_reaper_goes_at_the_next_start_and_nothing_of_a_live_one() {
    if !Command::new("docker").arg("version").output().is_ok_and(|answer| answer.status.success()) {
        return not_tested("a harness that is killed with its reaper, for want of a Docker engine");
    }
    // Whoever boots in containers meanwhile would remove it.
    let _turn = play(turn());
    // Images are there before anybody is waited for.
    play(place_on(Backend::Containers, EngineChoice::Any));
    let [killed, live, next] = [(); 3].map(|()| tempfile::tempdir_in(ground()).expect("a directory"));
    let [mut dies, mut lives] = [&killed, &live].map(|home| start_small(home.path(), false));
    let deadline = Instant::now() + PATIENCE;
    while [&killed, &live].iter().any(|home| of_runs(home.path(), &["ps", "-q"]).is_empty()) {
        let ended = [&mut dies, &mut lives].map(|harness| harness.0.try_wait().expect("our child"));
        assert!(ended.iter().all(Option::is_none), "a harness has ended instead: {ended:?}");
        assert!(Instant::now() < deadline, "they have no containers");
        until(Instant::now() + LOOK);
    }
    for reaper in reapers(dies.0.id()) {
        let sent = Command::new("kill").args(["-KILL", &reaper.to_string()]).status().expect("kill");
        assert!(sent.success());
    }
    while !reapers(dies.0.id()).is_empty() {
        assert!(Instant::now() < deadline, "its reaper lives");
        until(Instant::now() + LOOK);
    }
    drop(dies);
    let (left, of_live) = (containers_of(killed.path()), containers_of(live.path()));
    assert_eq!((left.lines().count(), of_live.lines().count()), (2, 2), "a container and a network: {left}{of_live}");

    let next = start_small(next.path(), true).0.wait().expect("it is our child");
    assert!(next.success(), "the run after the killed one: {next}");
    assert_eq!(containers_of(killed.path()), "", "left by the killed one");
    assert_eq!(containers_of(live.path()), of_live, "of the live one");
    drop(lives);
    assert_all_gone(live.path(), true);
}

#[test]
#[ignore = "not a test: the harness that the test above starts and kills"]
fn harness() {
    let home = env::var_os(HOME).expect("the test above says where");
    play(async {
        let (engine, containers) = place(EngineChoice::Any).await;
        let temp = Some(Path::new(&home).to_path_buf());
        let options = Options { engine, temp, logs: None, keep: false, containers };
        let mut topology = Topology { redis: RedisTopology::new(1, 0), chat: ChatTopology::none() };
        if env::var_os(SMALL).is_none() {
            topology = Topology { redis: RedisTopology::new(3, 2), chat: ChatTopology::reference(3, node_program()) };
            topology.chat.args = vec!["--auth".to_owned(), "none".to_owned()];
        }
        let cluster = Cluster::start(topology, options).await.unwrap_or_else(|error| panic!("{error}"));
        if env::var_os(ONCE).is_none() {
            std::future::pending::<()>().await;
        }
        cluster.shutdown().await.unwrap_or_else(|error| panic!("{error}"));
    });
}

fn start(home: &Path, once: bool) -> Child {
    command(home, once).spawn().expect("this test can be started again")
}

/// In containers.
fn start_small(home: &Path, once: bool) -> Killed {
    let mut command = command(home, once);
    command.env(SMALL, "1").env("HOLDFAST_BACKEND", "containers");
    Killed(command.spawn().expect("this test can be started again"))
}

/// When it is dropped, also by a test that fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // One that has ended needs neither.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(home: &Path, once: bool) -> Command {
    let mut command = Command::new(env::current_exe().expect("this test is a file"));
    command
        .args(["--ignored", "--exact", "harness_death::harness"])
        .env(HOME, home)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if once {
        command.env(ONCE, "1");
    }
    command
}

fn until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}

/// Processes that the harness started: each works in a folder of its own below the home.
fn running_below(home: &Path) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    let pids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    pids.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder.starts_with(home))).collect()
}

/// Without the children that a Redis forks to write its data, which live for moments.
fn servers_below(home: &Path) -> usize {
    let running = running_below(home);
    running.iter().filter(|pid| !parent(**pid).is_some_and(|parent| running.contains(&parent))).count()
}

/// The second word behind the last parenthesis: the name before it may hold any character.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The children of a harness that remove its containers when it ends, and have not ended.
fn reapers(harness: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    let pids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    // Of one that ended and is not reaped there is no command line.
    let reaps = |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"sh\0-c\0"));
    pids.filter(|pid| parent(*pid) == Some(harness)).filter(reaps).collect()
}

/// Containers and networks of the runs that made a folder there.
fn containers_of(home: &Path) -> String {
    of_runs(home, &["ps", "-aq"]) + &of_runs(home, &["network", "ls", "-q"])
}

fn of_runs(home: &Path, what: &[&str]) -> String {
    let runs = fs::read_dir(home).expect("a folder").flatten();
    let labels = runs.map(|run| format!("label=holdfast.run={}", run.file_name().display()));
    let of = |label: String| {
        let said = Command::new("docker").args(what).args(["--filter", &label]).output().expect("the docker command");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).into_owned()
    };
    labels.map(of).collect()
}

fn assert_all_gone(home: &Path, in_containers: bool) {
    let deadline = Instant::now() + gone_within();
    loop {
        let left = (running_below(home), if in_containers { containers_of(home) } else { String::new() });
        if left.0.is_empty() && left.1.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left running: {left:?}");
        until(Instant::now() + LOOK);
    }
}
