//! What the watch makes of what nodes say: promotions, failed elections, stale primaries.

use std::time::Instant;

use chaos_cluster::{Change, Changed, Role, Server, Shard};
use chaos_observe::{At, Clock, Journal};

use super::{
    shards::Shards,
    watch::{Lost, Watch},
};

const OLD: Server = Server::Redis(1);
const NEW: Server = Server::Redis(4);
const FIRST: (u16, u16) = (0, 5460);

fn primary(server: Server, config_epoch: u64) -> (Server, Changed) {
    (server, Changed::Role { role: Role::Primary, config_epoch, slots: vec![FIRST] })
}

fn replica(server: Server, of: Server) -> (Server, Changed) {
    (server, Changed::Role { role: Role::Replica { of: Some(of) }, config_epoch: 1, slots: Vec::new() })
}

fn epoch(to: u64) -> (Server, Changed) {
    (NEW, Changed::Epoch { from: to - 1, to })
}

fn silent(server: Server) -> (Server, Changed) {
    (server, Changed::Silent("connection refused".to_owned()))
}

/// Tells a watch of a level shard in epoch 5, of the loss of its primary at 1.5 s, and then of each change, at 2 s, 3 s
/// and so on.
fn watched(changes: impl IntoIterator<Item = (Server, Changed)>) -> Watch {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::create(&folder.path().join("journal.jsonl"), Clock::start()).expect("a journal");
    let shard = Shard { primary: OLD, replicas: vec![NEW], slots: vec![FIRST] };
    let watch = Watch::new(Shards::of(vec![shard]));
    let tell = |ms, (server, what)| {
        watch.heard(At::from_millis(ms), &Change { at: Instant::now(), server, what }, &journal);
    };
    for change in [replica(NEW, OLD), primary(OLD, 1), epoch(5)] {
        tell(1_000, change);
    }
    watch.lost(Lost { fault: "fault-1".to_owned(), server: OLD, slot: 7, at: At::from_millis(1_500) });
    for (nth, change) in (2..).zip(changes) {
        tell(1_000 * nth, change);
    }
    watch
}

#[test]
fn a_promotion_is_measured_from_the_loss_to_the_first_survivor_that_is_primary() {
    let watch = watched([silent(OLD), epoch(6), primary(NEW, 6)]);
    let promotion = watch.promotions().remove(0);
    assert_eq!((promotion.from.as_str(), promotion.to.as_deref()), ("redis-1", Some("redis-4")));
    assert_eq!((promotion.shard, promotion.failed_elections), (1, 0));
    assert_eq!(promotion.promoted_at, Some(At::from_millis(4_000)));
    assert_eq!((watch.promoted(), watch.epoch()), (1, 6));
}

#[test]
fn a_loss_is_measured_from_when_the_primary_last_served_never_from_before() {
    let watch = watched([silent(OLD), primary(NEW, 6)]);
    for (fault, server, ms) in [("fault-2", OLD, 1_900), ("fault-1", NEW, 1_900), ("fault-1", OLD, 1_400)] {
        watch.served(fault, server, At::from_millis(ms));
        assert_eq!(watch.promotions()[0].killed_at, At::from_millis(1_500));
    }
    watch.served("fault-1", OLD, At::from_millis(1_700));
    assert_eq!(watch.promotions()[0].killed_at, At::from_millis(1_700));
}

#[test]
fn elections_that_elected_nobody_are_counted() {
    let watch = watched([silent(OLD), epoch(6), epoch(7), primary(NEW, 7)]);
    assert_eq!(watch.promotions()[0].failed_elections, 1);
}

#[test]
fn a_hung_primary_that_wakes_does_not_undo_the_promotion() {
    let watch = watched([silent(OLD), primary(NEW, 6), primary(OLD, 1), replica(OLD, NEW)]);
    assert_eq!(watch.promotions()[0].to.as_deref(), Some("redis-4"));
    let of_old = watch.roles().into_iter().filter(|role| role.server == "redis-1");
    let told: Vec<_> = of_old.map(|role| (role.role, role.shard, role.epoch)).collect();
    let expected = [("primary", 1), ("down", 0), ("primary", 1), ("replica", 1)];
    assert_eq!(told, expected.map(|(role, epoch)| (role.to_owned(), Some(1), epoch)));
}

#[test]
fn nobody_in_place_of_the_lost_one_is_no_promotion() {
    let watch = watched([silent(OLD), epoch(6)]);
    let promotion = watch.promotions().remove(0);
    assert_eq!((promotion.promoted_at, promotion.to), (None, None));
}

#[test]
fn a_replica_has_the_shard_of_its_primary_even_when_it_speaks_first() {
    let roles = watched([]).roles();
    assert_eq!(roles.iter().map(|role| role.shard).collect::<Vec<_>>(), [Some(1), Some(1)]);
}
