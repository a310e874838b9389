//! What the watch makes of views: promotions, failed elections, stale primaries.

use std::{collections::BTreeMap, time::Instant};

use chaos_cluster::{NodeView, PeerView, Role, Seen, Server, View};
use chaos_observe::{At, Clock, Journal};

use super::watch::{Lost, Watch};

const OLD: Server = Server::Redis(1);
const NEW: Server = Server::Redis(4);
const OTHER: Server = Server::Redis(2);
const FIRST: (u16, u16) = (0, 5460);

fn node(role: Role, slots: Vec<(u16, u16)>, config_epoch: u64, current_epoch: u64, old_failed: bool) -> Seen {
    let old = PeerView {
        id: "old".to_owned(),
        role: Role::Primary,
        suspected: old_failed,
        failed: old_failed,
        config_epoch: 1,
        slots: Vec::new(),
    };
    Seen::Answered(NodeView {
        id: String::new(),
        role,
        slots,
        config_epoch,
        current_epoch,
        state_ok: true,
        link_up: true,
        offset: 0,
        online: BTreeMap::new(),
        peers: BTreeMap::from([(OLD, old)]),
    })
}

fn primary(slots: (u16, u16), config_epoch: u64, current_epoch: u64, old_failed: bool) -> Seen {
    node(Role::Primary, vec![slots], config_epoch, current_epoch, old_failed)
}

fn replica(current_epoch: u64, old_failed: bool) -> Seen {
    node(Role::Replica { of: Some(OLD) }, Vec::new(), 1, current_epoch, old_failed)
}

fn view(old: Seen, new: Seen, epoch: u64, old_failed: bool) -> View {
    let nodes = BTreeMap::from([(OLD, old), (NEW, new), (OTHER, primary((5461, 10922), 2, epoch, old_failed))]);
    View { at: Instant::now(), nodes }
}

fn gone() -> Seen {
    Seen::Silent("connection refused".to_owned())
}

/// Shows the views at 1 s, 2 s, … to a watch that lost the old primary at 1.5 s.
fn watched(views: impl IntoIterator<Item = View>) -> Watch {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::create(&folder.path().join("journal.jsonl"), Clock::start()).expect("a journal");
    let watch = Watch::new(3);
    for (nth, view) in views.into_iter().enumerate() {
        watch.look(At::from_millis(1_000 * (nth as u64 + 1)), &view, &journal);
        if nth == 0 {
            watch.lost(Lost { fault: "fault-1".to_owned(), server: OLD, slot: 7, at: At::from_millis(1_500) });
        }
    }
    watch
}

#[test]
fn a_promotion_is_measured_from_the_loss_to_the_first_survivor_that_names_another() {
    let watch = watched([
        view(primary(FIRST, 1, 5, false), replica(5, false), 5, false),
        view(gone(), replica(5, true), 5, true),
        view(gone(), primary(FIRST, 6, 6, true), 6, true),
    ]);
    let promotion = watch.promotions().remove(0);
    assert_eq!((promotion.from.as_str(), promotion.to.as_deref()), ("redis-1", Some("redis-4")));
    assert_eq!(promotion.shard, 1);
    assert_eq!(promotion.detected_at, Some(At::from_millis(2_000)));
    assert_eq!(promotion.promoted_at, Some(At::from_millis(3_000)));
    assert_eq!(promotion.failed_elections, 0);
    assert_eq!((watch.promoted(), watch.epoch()), (1, 6));
}

#[test]
fn elections_that_elected_nobody_are_counted() {
    let watch = watched([
        view(primary(FIRST, 1, 5, false), replica(5, false), 5, false),
        view(gone(), replica(6, true), 6, true),
        view(gone(), primary(FIRST, 7, 7, true), 7, true),
    ]);
    assert_eq!(watch.promotions()[0].failed_elections, 1);
}

#[test]
fn a_hung_primary_that_wakes_does_not_undo_the_promotion() {
    let watch = watched([
        view(primary(FIRST, 1, 5, false), replica(5, false), 5, false),
        view(gone(), primary(FIRST, 6, 6, true), 6, true),
        view(primary(FIRST, 1, 5, false), primary(FIRST, 6, 6, true), 6, true),
    ]);
    assert_eq!(watch.promotions()[0].to.as_deref(), Some("redis-4"));
    let roles: Vec<_> = watch.roles().into_iter().filter(|role| role.server == "redis-1").collect();
    let told: Vec<_> = roles.iter().map(|role| (role.role.as_str(), role.shard, role.epoch)).collect();
    assert_eq!(told, [("primary", Some(1), 1), ("down", Some(1), 0), ("primary", Some(1), 1)]);
}

#[test]
fn nobody_in_place_of_the_lost_one_is_no_promotion() {
    let watch = watched([
        view(primary(FIRST, 1, 5, false), replica(5, false), 5, false),
        view(gone(), replica(5, true), 5, true),
    ]);
    let promotion = watch.promotions().remove(0);
    assert_eq!((promotion.promoted_at, promotion.to), (None, None));
    assert!(promotion.detected_at.is_some());
}
