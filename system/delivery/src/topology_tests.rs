//! Who owns what, from answers that disagree.

use std::fmt::Write as _;
use std::time::Duration;

use super::*;

/// One node's word: `(name, role, epoch, slots)` of everybody.
fn view(asked: Instant, me: &str, lines: &[(&str, &str, u64, &str)]) -> (NodeId, Arc<View>) {
    let mut text = String::new();
    for (at, (id, role, epoch, slots)) in lines.iter().enumerate() {
        let myself = if *id == me { "myself," } else { "" };
        let (flags, follows) = role.split_once(':').unwrap_or((role, "-"));
        let _ =
            writeln!(text, "{id} 127.0.0.1:{}@1 {myself}{flags} {follows} 0 0 {epoch} connected {slots}", 7000 + at);
    }
    let view = View::read(asked, &RedisAddress::new("127.0.0.1", 7000), &text, "").unwrap();
    (view.me.clone(), Arc::new(view))
}

const BEFORE: [(&str, &str, u64, &str); 4] = [
    ("a", "master", 1, "0-5460"),
    ("b", "master", 2, "5461-10922"),
    ("c", "master", 3, "10923-16383"),
    ("d", "slave:a", 1, ""),
];
const AFTER: [(&str, &str, u64, &str); 4] = [
    ("a", "master,fail", 1, ""),
    ("b", "master", 2, "5461-10922"),
    ("c", "master", 3, "10923-16383"),
    ("d", "master", 4, "0-5460"),
];

fn decide_from(before: &Topology, views: Vec<(NodeId, Arc<View>)>) -> Topology {
    decide(before, views.into_iter().collect(), Election::default(), &Rules::default())
}

#[test]
fn every_partition_has_a_home_and_every_primary_a_vote() {
    let topology = decide_from(&Topology::default(), vec![view(Instant::now(), "a", &BEFORE)]);
    assert_eq!((topology.home.len(), topology.shards.len(), topology.owners.len()), (256, 3, 3));
    let shard = &topology.shards[&topology.home[&0]];
    assert_eq!((&*shard.primary, shard.epoch), ("c", 3), "p0 is slot 15882");
}

#[test]
fn the_highest_epoch_wins_whoever_says_it() {
    let now = Instant::now();
    let stale = view(now, "a", &BEFORE);
    let newer = view(now - Duration::from_secs(1), "b", &AFTER);
    let topology = decide_from(&Topology::default(), vec![stale, newer]);
    assert_eq!(topology.owners.iter().map(|id| &**id).collect::<Vec<_>>(), ["b", "c", "d"]);
}

#[test]
fn a_shard_keeps_its_index_through_a_failover() {
    let now = Instant::now();
    let before = decide_from(&Topology::default(), vec![view(now, "b", &BEFORE)]);
    let after = decide_from(&before, vec![view(now, "b", &AFTER)]);
    assert_eq!(before.home, after.home);
    let moved: Vec<_> = after.shards.values().filter(|shard| &*shard.primary == "d").collect();
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].address, RedisAddress::new("127.0.0.1", 7003));
}

#[test]
fn the_same_claims_decide_nothing_new_but_keep_the_views() {
    let now = Instant::now();
    let before = decide_from(&Topology::default(), vec![view(now, "b", &BEFORE)]);
    let later = now + Duration::from_secs(1);
    let after = decide_from(&before, vec![view(later, "b", &BEFORE)]);
    assert_eq!((&before.shards, after.views["b"].asked), (&after.shards, later));
}

#[test]
fn after_an_error_a_majority_must_have_been_heard() {
    let now = Instant::now();
    let (old, new) = (now - Duration::from_secs(1), now + Duration::from_millis(1));
    let heard = |views| decide_from(&Topology::default(), views).majority_heard_since(now);
    assert!(!heard(vec![view(new, "a", &BEFORE)]), "its own word is not enough");
    assert!(!heard(vec![view(new, "a", &BEFORE), view(old, "b", &BEFORE), view(now, "c", &BEFORE)]), "too old");
    assert!(!heard(vec![view(new, "a", &BEFORE), view(new, "d", &BEFORE)]), "a replica has no vote");
    assert!(heard(vec![view(new, "a", &BEFORE), view(new, "b", &BEFORE)]));
}

#[test]
fn partitions_that_move_to_a_new_primary_make_a_new_shard() {
    let now = Instant::now();
    let before = decide_from(&Topology::default(), vec![view(now, "b", &BEFORE)]);
    let grown = [BEFORE[0], BEFORE[1], ("c", "master", 3, "10923-15000"), ("e", "master", 9, "15001-16383")];
    let after = decide_from(&before, vec![view(now, "b", &grown)]);
    assert_eq!(after.shards.len(), 4);
    assert_eq!(&*after.shards[&3].primary, "e");
    assert_eq!(before.shards.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
}
