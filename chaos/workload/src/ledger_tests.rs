//! What a room's ledger owes, credits and waits for.

use super::*;

fn id(text: &str) -> MessageId {
    MessageId::parse(text).expect("a sound id")
}

fn offset(ms: u64) -> Option<Offset> {
    Offset::new(ms, 0)
}

/// Two members that stay, one that leaves; all joined at offset 1.
fn room() -> Ledger {
    let mut ledger = Ledger::new();
    for stays in [true, true, false] {
        let member = ledger.enrol(stays);
        ledger.joined(member, offset(1), true);
    }
    ledger
}

#[test]
fn a_message_is_open_until_it_is_acked_and_everyone_who_stays_has_it() {
    let mut room = room();
    room.due(id("a"), 100, true);
    room.due(id("b"), 200, true);
    room.received(0, &id("a"), offset(2), 150);
    room.received(1, &id("a"), offset(2), 150);
    assert_eq!(room.oldest_open(), Some(100), "it is not acked");
    room.acked(&id("a"), offset(2), 160);
    assert_eq!(room.oldest_open(), Some(200));
    room.acked(&id("b"), offset(3), 260);
    room.received(0, &id("b"), offset(3), 270);
    assert_eq!((room.oldest_open(), room.counts.missing()), (Some(200), 1), "a member lacks it");
    room.received(1, &id("b"), offset(3), 280);
    assert_eq!((room.oldest_open(), room.counts.missing(), room.counts.owed), (None, 0, 4));
}

#[test]
fn who_comes_and_goes_is_neither_owed_nor_credited() {
    let mut room = room();
    room.due(id("a"), 100, true);
    room.acked(&id("a"), offset(2), 110);
    room.received(2, &id("a"), offset(2), 120);
    assert_eq!((room.counts.owed, room.counts.credited), (2, 0));
}

#[test]
fn what_ended_otherwise_does_not_stay_open() {
    let mut room = room();
    room.due(id("a"), 100, true);
    room.ended(&id("a"));
    assert_eq!(room.oldest_open(), None);
    room.censor(1_000);
    assert_eq!(room.acks.summary().censored, 0);
}

#[test]
fn what_a_restless_member_says_late_keeps_nobody_from_being_steady() {
    let mut room = room();
    room.due(id("a"), 100, false);
    assert_eq!((room.oldest_open(), room.unresolved()), (None, 1));
    room.acked(&id("a"), offset(2), 5_000);
    assert_eq!((room.oldest_open(), room.unresolved(), room.counts.owed), (None, 0, 2), "it is owed all the same");
}

#[test]
fn level_means_everyone_is_in_and_as_far_as_the_last_ack() {
    let mut room = room();
    assert!(room.level());
    room.due(id("a"), 100, true);
    room.acked(&id("a"), offset(2), 110);
    assert!(!room.level());
    for member in 0..3 {
        room.received(member, &id("a"), offset(2), 120);
    }
    assert!(room.level());
    room.parted(1);
    assert!(!room.level() && !room.settled());
    room.joined(1, offset(2), true);
    room.parted(2);
    assert!(room.settled() && !room.level(), "who comes and goes need not be in, until the end");
}

#[test]
fn the_run_begins_where_the_first_joins_began() {
    let mut room = Ledger::new();
    for first in [5, 3, 4] {
        let member = room.enrol(true);
        room.joined(member, offset(first), true);
    }
    room.joined(0, offset(1), true);
    let beginnings: Vec<Option<Offset>> = room.beginnings().into_iter().map(Some).collect();
    assert_eq!(beginnings[0], offset(3), "a later join of a member says nothing of the beginning");
    room.joined(1, offset(9), false);
    assert_eq!(room.beginnings().last().copied(), offset(9), "after a loss of history it begins again");
}

#[test]
fn at_the_end_what_is_owed_is_censored_not_absent() {
    let mut room = room();
    room.due(id("a"), 100, true);
    room.due(id("b"), 100, true);
    room.acked(&id("b"), offset(2), 200);
    room.received(0, &id("b"), offset(2), 200);
    room.censor(1_100);
    assert_eq!((room.acks.summary().count, room.acks.summary().censored), (2, 1));
    assert_eq!((room.deliveries.summary().count, room.deliveries.summary().censored), (2, 1));
}
