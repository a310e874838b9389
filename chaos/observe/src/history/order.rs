//! Puts what belongs to one room together.
//!
//! Records come with all rooms mixed; a checker goes through one room at a time, and through its messages once for each
//! member. Side by side they stay in the processor's cache.

use super::memory::{History, Message};

/// New numbers by old ones.
type Numbers = Vec<u32>;

pub(super) fn by_room(mut history: History) -> History {
    let messages = numbers(&rooms_of_messages(&history));
    let entries = numbers(&history.entries.iter().map(|entry| entry.room).collect::<Vec<_>>());
    history.message_names = history.message_names.renumbered(&messages);
    history.messages = moved(std::mem::take(&mut history.messages), &messages);
    history.entries = moved(std::mem::take(&mut history.entries), &entries);
    for entry in &mut history.entries {
        entry.message = messages[entry.message as usize];
    }
    for ack in &mut history.acks {
        ack.message = messages[ack.message as usize];
    }
    for read in history.rooms.iter_mut().flat_map(|room| &mut room.finals) {
        read.entry = entries[read.entry as usize];
    }
    for entry in history.lanes.iter_mut().flat_map(|lane| &mut lane.receipts.entry) {
        *entry = entries[*entry as usize];
    }
    history.lanes.sort_by_key(|lane| lane.room);
    history
}

/// A message that nobody sent belongs where it was first seen.
fn rooms_of_messages(history: &History) -> Vec<u32> {
    let sent = |message: &Message| if message.attempts > 0 { message.room } else { u32::MAX };
    let mut rooms: Vec<_> = history.messages.iter().map(sent).collect();
    for entry in &history.entries {
        let room = &mut rooms[entry.message as usize];
        *room = if *room == u32::MAX { entry.room } else { *room };
    }
    rooms
}

/// By room, and within a room in the order that they have.
fn numbers(rooms: &[u32]) -> Numbers {
    let mut order: Vec<u32> = (0..rooms.len() as u32).collect();
    order.sort_by_key(|old| rooms[*old as usize]);
    let mut numbers = vec![0; rooms.len()];
    for (new, old) in (0u32..).zip(order) {
        numbers[old as usize] = new;
    }
    numbers
}

fn moved<T>(things: Vec<T>, numbers: &Numbers) -> Vec<T> {
    let mut numbered: Vec<_> = numbers.iter().zip(things).collect();
    numbered.sort_unstable_by_key(|(number, _)| **number);
    numbered.into_iter().map(|(_, thing)| thing).collect()
}

#[cfg(test)]
mod tests {
    use crate::{At, Content, History, Offset, Op, Record};

    #[test]
    fn rooms_are_together_and_everything_still_names_the_same() {
        let mut records = Vec::new();
        let mut record = |user: &str, op| records.push(Record { at: At(0), user: user.to_owned(), op });
        for nth in 0..6u64 {
            let (room, message) = (format!("r{}", nth % 2), format!("m{nth}"));
            let (content, offset) = (Content(nth), Offset(u128::from(nth)));
            let send = Op::Send {
                message: message.clone(),
                room: room.clone(),
                attempt: 1,
                intended: At(nth),
                content,
                canary: false,
            };
            record("u", send);
            record("u", Op::SendOk { message: message.clone(), offset: Some(offset) });
            let (sender, offset) = ("u".to_owned(), Some(offset));
            record("v", Op::Recv { room, message, sender, offset, content, replay: false, hidden: false });
        }
        let history = History::of(records);
        let rooms: Vec<_> = history.messages.iter().map(|message| message.room).collect();
        assert_eq!(rooms, [0, 0, 0, 1, 1, 1]);
        assert_eq!(history.message_names.name(1), "m2");
        assert_eq!(history.message_names.find("m5"), Some(5));
        for lane in &history.lanes {
            for entry in lane.receipts.entry.iter().map(|entry| history.entries[*entry as usize]) {
                let name = history.message_names.name(entry.message);
                assert_eq!(name, format!("m{}", entry.content.0));
                assert_eq!(history.messages[entry.message as usize].content, entry.content);
                assert_eq!((entry.room, history.messages[entry.message as usize].room), (lane.room, lane.room));
            }
        }
        let acked = |ack: &crate::history::Ack| history.messages[ack.message as usize].intended.0;
        assert!(history.acks.iter().all(|ack| ack.offset == Some(Offset(u128::from(acked(ack))))));
    }
}
