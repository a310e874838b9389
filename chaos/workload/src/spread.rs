//! Who is in which room on which node. Pure.
//!
//! Memberships are dealt out one after another, so every room gets the same number, and node by node within a room, so
//! that each room has members on every node: a message then always has to cross nodes.

use crate::FanOut;

/// One user before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) user: String,
    /// The node that it prefers, by index.
    pub(crate) node: usize,
    /// By index.
    pub(crate) rooms: Vec<u32>,
    pub(crate) habit: Habit,
}

/// What a user does beside chatting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    Stays,
    Leaves,
    Cuts,
}

pub(crate) fn seats(load: &FanOut, nodes: usize) -> Vec<Seat> {
    let per_user = load.rooms_per_user;
    (0..load.users())
        .map(|user| {
            let first = user * per_user;
            // Which round of dealing this is; `rooms_per_user` divides `rooms`, so a user never spans two.
            let round = first / load.rooms;
            let rooms: Vec<u32> = (0..per_user).map(|nth| (first + nth) % load.rooms).collect();
            let node = (round + rooms[0] / per_user) as usize % nodes.max(1);
            Seat { user: user_name(user, load.users()), node, habit: habit(load, round), rooms }
        })
        .collect()
}

/// The last rounds come and go, the rounds before stay.
fn habit(load: &FanOut, round: u32) -> Habit {
    let from_the_end = load.members_per_room - 1 - round;
    if from_the_end < load.churn.leavers_per_room {
        Habit::Leaves
    } else if from_the_end < load.churn.leavers_per_room + load.churn.cutters_per_room {
        Habit::Cuts
    } else {
        Habit::Stays
    }
}

fn user_name(index: u32, of: u32) -> String {
    let width = of.saturating_sub(1).max(1).ilog10() as usize + 1;
    format!("u{index:0width$}", width = width.max(3))
}

pub(crate) fn room_name(index: u32, of: u32) -> String {
    let width = of.saturating_sub(1).max(1).ilog10() as usize + 1;
    format!("room-{index:0width$}", width = width.max(2))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Churn;

    fn load(rooms: u32, members_per_room: u32, rooms_per_user: u32) -> FanOut {
        FanOut { rooms, members_per_room, rooms_per_user, ..FanOut::default() }
    }

    #[test]
    fn every_room_has_its_members_and_some_on_every_node() {
        for (rooms, members, per_user, nodes) in
            [(12, 20, 1, 3), (12, 20, 4, 3), (6, 6, 2, 4), (1, 3, 1, 3), (3, 3, 3, 3)]
        {
            let seats = seats(&load(rooms, members, per_user), nodes);
            for room in 0..rooms {
                let here: Vec<&Seat> = seats.iter().filter(|seat| seat.rooms.contains(&room)).collect();
                assert_eq!(here.len(), members as usize);
                let at: BTreeSet<usize> = here.iter().map(|seat| seat.node).collect();
                assert_eq!(at.len(), nodes, "room {room} of {rooms} x {members}, {per_user} a user");
            }
        }
    }

    #[test]
    fn nobody_is_in_a_room_twice_and_names_are_unique() {
        let seats = seats(&load(12, 20, 4), 3);
        assert!(seats.iter().all(|seat| seat.rooms.iter().collect::<BTreeSet<_>>().len() == 4));
        assert_eq!(seats.iter().map(|seat| &seat.user).collect::<BTreeSet<_>>().len(), seats.len());
        assert_eq!((seats[7].user.as_str(), room_name(3, 12).as_str()), ("u007", "room-03"));
        assert_eq!((user_name(7, 20_000).as_str(), room_name(3, 1000).as_str()), ("u00007", "room-003"));
    }

    #[test]
    fn so_many_of_each_room_come_and_go() {
        let churn = Churn { leavers_per_room: 2, cutters_per_room: 3, ..Churn::default() };
        let seats = seats(&FanOut { churn, ..load(4, 9, 1) }, 3);
        let of = |habit| seats.iter().filter(|seat| seat.rooms == [1] && seat.habit == habit).count();
        assert_eq!((of(Habit::Leaves), of(Habit::Cuts), of(Habit::Stays)), (2, 3, 4));
    }
}
