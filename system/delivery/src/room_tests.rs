//! Who gets which entry of a room, by what each session was sent before.

use std::sync::atomic::{AtomicUsize, Ordering};

use system_protocol::{MessageId, UserId};

use super::*;

/// Takes so many messages, then is closed.
struct Socket {
    got: Mutex<Vec<u64>>,
    room: AtomicUsize,
    closed: Mutex<Option<CloseReason>>,
}

impl Socket {
    fn new(room: usize) -> Arc<Socket> {
        Arc::new(Socket { got: Mutex::default(), room: AtomicUsize::new(room), closed: Mutex::default() })
    }

    fn got(&self) -> Vec<u64> {
        self.got.lock().unwrap().clone()
    }
}

impl Outbox for Socket {
    fn joined(&self, _: &Joined) -> Result<(), Closed> {
        Ok(())
    }

    fn message(&self, entry: &Arc<Entry>, _: Option<&FanOut<'_>>) -> Result<(), Closed> {
        if self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |room| room.checked_sub(1)).is_err() {
            return Err(Closed);
        }
        self.got.lock().unwrap().push(entry.offset.ms());
        Ok(())
    }

    fn close(&self, why: CloseReason) {
        *self.closed.lock().unwrap() = Some(why);
    }
}

fn at(ms: u64) -> Offset {
    Offset::new(ms, 0).unwrap()
}

fn item(ms: u64) -> Item {
    let id = MessageId::parse(&format!("m{ms}")).unwrap();
    let entry = Entry::new(Room::default(), at(ms), UserId::parse("u").unwrap(), id, "x".into(), None);
    Item { offset: at(ms), message: Some(Arc::new(entry)) }
}

fn items(range: impl IntoIterator<Item = u64>) -> Vec<Item> {
    range.into_iter().map(item).collect()
}

fn cell() -> RoomCell {
    RoomCell::new(Room::default())
}

fn enter(cell: &RoomCell, session: SessionId, socket: &Arc<Socket>, head: u64, from: Option<u64>) -> (Joined, bool) {
    let outbox: Arc<dyn Outbox> = socket.clone();
    let entrance = Entrance { head: at(head), held: from.is_some() };
    cell.admit(session, &outbox, entrance, from.map(at)).unwrap()
}

fn deliver(cell: &RoomCell, items: &[Item], upto: u64) -> Handed {
    cell.deliver(items, at(upto), &Rules::default(), &Origin::default())
}

#[test]
fn who_enters_without_an_offset_gets_what_comes_after_the_head() {
    let (cell, socket) = (cell(), Socket::new(9));
    assert!(!enter(&cell, 1, &socket, 5, None).1);
    let handed = deliver(&cell, &items(5..=7), 7);
    assert_eq!((handed.entries, socket.got()), (2, vec![6, 7]));
    assert_eq!(cell.position(1), Some(at(7)));
}

#[test]
fn nothing_beyond_what_is_committed_goes_out() {
    let (cell, socket) = (cell(), Socket::new(9));
    enter(&cell, 1, &socket, 5, None);
    deliver(&cell, &items(5..=9), 7);
    assert_eq!((socket.got(), cell.cursor()), (vec![6, 7], Some(at(7))));
}

#[test]
fn a_page_that_overlaps_what_went_out_repeats_nothing() {
    let (cell, socket) = (cell(), Socket::new(9));
    enter(&cell, 1, &socket, 5, None);
    deliver(&cell, &items(5..=7), 7);
    deliver(&cell, &items(5..=8), 8);
    deliver(&cell, &items(5..=6), 6);
    assert_eq!(socket.got(), [6, 7, 8]);
}

#[test]
fn one_that_catches_up_is_not_overtaken_by_live_entries() {
    let (cell, live, late) = (cell(), Socket::new(9), Socket::new(9));
    enter(&cell, 1, &live, 5, None);
    assert!(enter(&cell, 2, &late, 5, Some(2)).1, "it is behind");
    deliver(&cell, &items(5..=6), 6);
    assert_eq!((live.got(), late.got()), (vec![6], vec![]));
    let rules = Rules::default();
    assert_eq!(cell.replay(2, at(2), &items(2..=4), &rules), Standing::Behind);
    assert_eq!(cell.replay(2, at(4), &items(4..=6), &rules), Standing::Level);
    deliver(&cell, &items(6..=7), 7);
    assert_eq!((live.got(), late.got()), (vec![6, 7], vec![3, 4, 5, 6, 7]));
}

#[test]
fn one_that_comes_from_a_node_further_ahead_waits_its_turn() {
    let (cell, here, ahead) = (cell(), Socket::new(9), Socket::new(9));
    enter(&cell, 1, &here, 5, None);
    assert!(!enter(&cell, 2, &ahead, 8, Some(7)).1);
    deliver(&cell, &items(5..=8), 8);
    assert_eq!((here.got(), ahead.got()), (vec![6, 7, 8], vec![8]), "decided per entry, not per batch");
}

#[test]
fn a_session_that_takes_no_more_is_closed_and_gets_nothing_after() {
    let (cell, slow, fast) = (cell(), Socket::new(1), Socket::new(9));
    enter(&cell, 1, &slow, 5, None);
    enter(&cell, 2, &fast, 5, None);
    let handed = deliver(&cell, &items(5..=8), 8);
    assert_eq!((handed.failed, slow.got(), fast.got()), (1, vec![6], vec![6, 7, 8]));
    assert_eq!(cell.position(1), None);
}

#[test]
fn a_missing_first_entry_is_noticed_and_moves_nothing() {
    let (cell, socket) = (cell(), Socket::new(9));
    enter(&cell, 1, &socket, 5, None);
    for page in [vec![], items(6..=8)] {
        assert!(deliver(&cell, &page, 8).missing);
    }
    assert_eq!((socket.got(), cell.cursor()), (vec![], Some(at(5))));
    assert_eq!(cell.lose_history(), 1);
    assert_eq!(*socket.closed.lock().unwrap(), Some(CloseReason::HistoryLost));
}

#[test]
fn a_replay_whose_first_entry_is_gone_says_so() {
    let (cell, socket) = (cell(), Socket::new(9));
    enter(&cell, 1, &socket, 9, Some(2));
    assert_eq!(cell.replay(1, at(2), &items(5..=9), &Rules::default()), Standing::Missing);
    assert_eq!(socket.got(), Vec::<u64>::new());
}

#[test]
fn a_birth_is_a_position_and_no_message() {
    let (cell, socket) = (cell(), Socket::new(9));
    enter(&cell, 1, &socket, 5, None);
    let birth = Item { offset: at(6), message: None };
    deliver(&cell, &[item(5), birth, item(7)], 7);
    assert_eq!(socket.got(), [7]);
}

#[test]
fn who_leaves_gets_its_position_and_nothing_more() {
    let (cell, socket) = (cell(), Socket::new(9));
    enter(&cell, 1, &socket, 5, None);
    deliver(&cell, &items(5..=6), 6);
    assert_eq!(cell.expel(1), Some(at(6)));
    deliver(&cell, &items(6..=7), 7);
    assert_eq!(socket.got(), [6]);
    assert!(cell.deserted());
}

#[test]
fn history_that_is_gone_is_admitted_to() {
    let (cell, socket) = (cell(), Socket::new(9));
    let outbox: Arc<dyn Outbox> = socket.clone();
    let (joined, behind) = cell.admit(1, &outbox, Entrance { head: at(9), held: false }, Some(at(2))).unwrap();
    assert_eq!((joined.offset, joined.recovered, behind), (Some(at(9)), false, false));
}

#[test]
fn a_bell_for_what_went_out_wakes_nobody() {
    let (cell, socket) = (cell(), Socket::new(9));
    let told = |ms| cell.told(Committed { offset: at(ms), mark: [1; 8] }).map(|committed| committed.offset.ms());
    assert_eq!(told(4), None, "nobody is in");
    enter(&cell, 1, &socket, 5, None);
    assert_eq!((told(5), told(8), told(7)), (None, Some(8), Some(8)));
}
