//! One room: whether we want to be in it, whether we are, and what has been received.

use std::time::Instant;

use system_protocol::{Joined, Offset};

pub(super) struct Membership {
    pub(super) wanted: bool,
    /// Left, but the node has not been told yet. A room may be wanted again while this is so.
    pub(super) leave_owed: bool,
    /// Where to resume when a room was left and then wanted again.
    pub(super) comeback: Option<Offset>,
    /// Last received: the only thing that a resume may start from.
    pub(super) position: Option<Offset>,
    pub(super) state: State,
}

/// On this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Out,
    /// Asked for; to be answered by then.
    Joining {
        by: Instant,
    },
    In {
        head: Option<Offset>,
    },
    Leaving {
        by: Instant,
        head: Option<Offset>,
    },
}

/// How a receipt stands to what was received before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) replay: bool,
    pub(super) hidden: bool,
}

impl Membership {
    pub(super) fn new(position: Option<Offset>) -> Self {
        Membership { wanted: true, leave_owed: false, comeback: None, position, state: State::Out }
    }

    pub(super) fn may_send(&self) -> bool {
        self.wanted && matches!(self.state, State::In { .. })
    }

    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Joining { by } | State::Leaving { by, .. } => Some(by),
            State::Out | State::In { .. } => None,
        }
    }

    /// A node that recovered us never moves us back, so a lower offset would only repeat; one that could not recover
    /// us names where messages follow from, lower or not.
    pub(super) fn entered(&mut self, joined: &Joined) {
        self.state = State::In { head: joined.head };
        self.position = if joined.recovered { self.position.max(joined.offset) } else { joined.offset };
    }

    /// Before `joined` nothing can be placed: what comes then is hidden and moves nothing, so that it is replayed.
    pub(super) fn receive(&mut self, offset: Option<Offset>) -> Receipt {
        let (State::In { head } | State::Leaving { head, .. }) = self.state else {
            return Receipt { replay: false, hidden: true };
        };
        let Some(offset) = offset else {
            return Receipt { replay: false, hidden: false };
        };
        let hidden = self.position.is_some_and(|position| offset <= position);
        self.position = self.position.max(Some(offset));
        Receipt { replay: head.is_some_and(|head| offset <= head), hidden }
    }

    /// The leave is done, or the connection that it concerned is gone. False: the room is over.
    pub(super) fn left(&mut self) -> bool {
        self.leave_owed = false;
        self.state = State::Out;
        self.position = self.comeback.take();
        self.wanted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use system_protocol::Room;

    use super::*;

    fn at(seq: u64) -> Option<Offset> {
        Offset::new(1, seq)
    }

    fn joined(offset: u64, head: u64, recovered: bool) -> Joined {
        Joined { room: Room::default(), offset: at(offset), head: at(head), recovered }
    }

    #[test]
    fn after_a_loss_the_nodes_word_counts_even_if_it_is_lower() {
        let mut room = Membership::new(at(9));
        room.entered(&joined(4, 4, false));
        assert_eq!(room.position, at(4));
        assert_eq!(room.receive(at(5)), Receipt { replay: false, hidden: false });
    }

    #[test]
    fn replay_is_what_the_head_had_and_live_what_came_after() {
        let mut room = Membership::new(at(3));
        room.entered(&joined(3, 5, true));
        let replays: Vec<bool> = (4..=6).map(|seq| room.receive(at(seq)).replay).collect();
        assert_eq!(replays, [true, true, false]);
    }

    #[test]
    fn before_joined_nothing_is_shown_or_remembered() {
        let mut room = Membership::new(at(3));
        assert_eq!(room.receive(at(4)), Receipt { replay: false, hidden: true });
        assert_eq!(room.position, at(3));
    }

    #[test]
    fn without_offsets_everything_is_shown() {
        let mut room = Membership::new(None);
        room.entered(&Joined { room: Room::default(), offset: None, head: None, recovered: true });
        assert_eq!([room.receive(None), room.receive(None)], [Receipt { replay: false, hidden: false }; 2]);
    }

    proptest! {
        #[test]
        fn whatever_comes_what_is_shown_is_shown_once_and_in_order(seqs in proptest::collection::vec(0..30u64, 0..60)) {
            let mut room = Membership::new(None);
            room.entered(&joined(3, 10, true));
            let shown: Vec<u64> = seqs.into_iter().filter(|seq| !room.receive(at(*seq)).hidden).collect();
            prop_assert!(shown.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", shown);
            prop_assert!(shown.iter().all(|seq| *seq > 3));
        }
    }
}
