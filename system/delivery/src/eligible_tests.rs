//! Who must have answered before an ack: each way a replica counts, and each way it does not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::*;
use crate::config::Election;
use crate::edge::RedisAddress;
use crate::topology::decide;

const FRESH: Duration = Duration::from_millis(800);
const UP: &str = "role:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:0\r\n";

/// Three primaries a, b, c; r and s follow a. `fails` are the pairs of who flags whom.
struct Cluster {
    now: Instant,
    views: BTreeMap<NodeId, Arc<View>>,
}

impl Cluster {
    fn new() -> Self {
        let mut cluster = Cluster { now: Instant::now(), views: BTreeMap::new() };
        for me in ["a", "b", "c"] {
            cluster.says(me, &[], "role:master\r\n");
        }
        cluster
    }

    fn says(&mut self, me: &str, failed: &[&str], info: &str) {
        self.says_at(self.now, me, failed, info);
    }

    fn says_at(&mut self, asked: Instant, me: &str, failed: &[&str], info: &str) {
        let lines = [
            ("a", "master", "-", "0-5460"),
            ("b", "master", "-", "5461-10922"),
            ("c", "master", "-", "10923-16383"),
            ("r", "slave", "a", ""),
            ("s", "slave", "a", ""),
        ];
        let mut text = String::new();
        for (at, (id, role, follows, slots)) in lines.iter().enumerate() {
            let myself = if *id == me { "myself," } else { "" };
            let fail = if failed.contains(id) { ",fail" } else { "" };
            let _ = writeln!(text, "{id} 127.1.1.{at}:7000@1 {myself}{role}{fail} {follows} 0 0 1 connected {slots}");
        }
        let view = View::read(asked, &RedisAddress::new("127.1.1.9", 7000), &text, info).unwrap();
        self.views.insert(view.me.clone(), Arc::new(view));
    }

    fn k(&self, online: &[&str]) -> usize {
        let election =
            Election { node_timeout: Duration::from_secs(1), validity_factor: 10, repl_ping: Duration::from_secs(1) };
        let topology = decide(&Topology::default(), self.views.clone(), election, &Rules::default());
        let online: Vec<_> = online.iter().map(|host| ((*host).to_owned(), 7000)).collect();
        k(&topology, &"a".into(), &online, self.now, FRESH, &Rules::default())
    }
}

const R: &str = "127.1.1.3";
const S: &str = "127.1.1.4";

#[test]
fn every_replica_counts_once_whether_listed_or_attached() {
    assert_eq!(Cluster::new().k(&[R, S]), 2);
}

#[test]
fn a_detached_replica_counts_for_as_long_as_it_could_be_elected() {
    assert_eq!(Cluster::new().k(&[R]), 2, "else a primary cut off with one of two would ack into a minority");
}

#[test]
fn k_falls_only_by_the_word_of_a_majority() {
    let mut cluster = Cluster::new();
    cluster.says("a", &["s"], "role:master\r\n");
    assert_eq!(cluster.k(&[R]), 2, "one primary's word");
    cluster.says("b", &["s"], "role:master\r\n");
    assert_eq!(cluster.k(&[R]), 1);
}

#[test]
fn a_majority_that_was_not_asked_lately_excuses_nobody() {
    let mut cluster = Cluster::new();
    cluster.says("a", &["s"], "role:master\r\n");
    cluster.says_at(cluster.now - Duration::from_secs(2), "b", &["s"], "role:master\r\n");
    assert_eq!(cluster.k(&[R]), 2);
}

#[test]
fn a_failed_replica_that_is_still_attached_counts_too() {
    let mut cluster = Cluster::new();
    for me in ["a", "b", "c"] {
        cluster.says(me, &["s"], "role:master\r\n");
    }
    assert_eq!(cluster.k(&[R, S]), 2, "else its answer could stand in for the other's");
}

#[test]
fn one_that_cannot_be_elected_by_its_own_word_is_left_out() {
    for (link, k) in [
        (UP.to_owned(), 2),
        ("role:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:12\r\n".to_owned(), 2),
        ("role:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:13\r\n".to_owned(), 1),
        ("role:slave\r\nmaster_link_status:down\r\nmaster_link_down_since_seconds:12\r\n".to_owned(), 2),
        ("role:slave\r\nmaster_link_status:down\r\nmaster_link_down_since_seconds:13\r\n".to_owned(), 1),
        ("role:slave\r\nmaster_link_status:down\r\nmaster_link_down_since_seconds:-1\r\n".to_owned(), 1),
    ] {
        let mut cluster = Cluster::new();
        cluster.says("s", &[], &link);
        assert_eq!(cluster.k(&[R]), k, "{link}");
    }
}

#[test]
fn one_that_does_not_answer_us_counts() {
    let mut cluster = Cluster::new();
    let old = cluster.now - Duration::from_secs(2);
    cluster.says_at(old, "s", &[], "role:slave\r\nmaster_link_status:down\r\nmaster_link_down_since_seconds:-1\r\n");
    assert_eq!(cluster.k(&[R]), 2);
}

#[test]
fn somebody_attached_whom_nobody_knows_counts() {
    assert_eq!(Cluster::new().k(&[R, S, "10.0.0.9"]), 3);
}

#[test]
fn with_nobody_left_one_must_still_answer() {
    let mut cluster = Cluster::new();
    for me in ["a", "b", "c"] {
        cluster.says(me, &["r", "s"], "role:master\r\n");
    }
    assert_eq!(cluster.k(&[]), 1);
}

#[test]
fn in_a_view_that_lags_behind_a_failover_siblings_count() {
    let cluster = Cluster::new();
    let election = Election::default();
    let topology = decide(&Topology::default(), cluster.views.clone(), election, &Rules::default());
    let promoted: NodeId = "r".into();
    assert_eq!(k(&topology, &promoted, &[], cluster.now, FRESH, &Rules::default()), 1);
    let electable = electable(&topology, &promoted, cluster.now, FRESH, &Rules::default());
    assert_eq!(electable.iter().map(|id| &***id).collect::<Vec<_>>(), ["s"]);
}
