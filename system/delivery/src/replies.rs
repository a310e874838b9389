//! Reading what our functions and XRANGE answer.

use std::sync::Arc;

use redis::Value;
use system_protocol::{MessageId, Offset, Room, UserId};

use crate::entry::{Entry, Item};
use crate::names;
use crate::room::Committed;

/// What the append function did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    New(Offset),
    Known(Offset),
    RoomLimit,
    RoomFull,
}

/// What the enter function found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entered {
    Head { head: Offset, held: bool },
    RoomLimit,
}

pub(crate) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

pub(crate) fn offset(value: &Value) -> Option<Offset> {
    Offset::from_stream_id(text(value)?).ok()
}

pub(crate) fn appended(value: &Value) -> Option<Appended> {
    let Value::Array(parts) = value else { return None };
    match (text(parts.first()?)?, parts.get(1)) {
        ("new", Some(at)) => Some(Appended::New(offset(at)?)),
        ("known", Some(at)) => Some(Appended::Known(offset(at)?)),
        ("room_limit", _) => Some(Appended::RoomLimit),
        ("room_full", _) => Some(Appended::RoomFull),
        _ => None,
    }
}

pub(crate) fn entered(value: &Value) -> Option<Entered> {
    let Value::Array(parts) = value else { return None };
    match (text(parts.first()?)?, parts.get(1), parts.get(2)) {
        ("head", Some(head), Some(Value::Int(held))) => Some(Entered::Head { head: offset(head)?, held: *held > 0 }),
        ("room_limit", ..) => Some(Entered::RoomLimit),
        _ => None,
    }
}

/// One head per room that was asked for; `None` for a stream that is gone.
pub(crate) fn heads(value: &Value, rooms: &[&Room]) -> Option<Vec<Option<Committed>>> {
    let Value::Array(heads) = value else { return None };
    (heads.len() == rooms.len()).then_some(())?;
    let gone = |value: &Value| matches!(value, Value::Array(parts) if parts.is_empty());
    let read = |(value, room): (&Value, &&Room)| if gone(value) { Some(None) } else { head(value, room).map(Some) };
    heads.iter().zip(rooms).map(read).collect()
}

fn head(value: &Value, room: &Room) -> Option<Committed> {
    let Value::Array(parts) = value else { return None };
    let offset = offset(parts.first()?)?;
    let mark = match (parts.get(1), parts.get(2)) {
        (Some(sender), Some(id)) => {
            let (sender, id) = (UserId::parse(text(sender)?).ok()?, MessageId::parse(text(id)?).ok()?);
            names::mark(&names::message_hash(room, &sender, &id))
        }
        _ => [0; 8],
    };
    Some(Committed { offset, mark })
}

/// What XRANGE answers: `[[id, [field, value, …]], …]`.
pub(crate) fn items(value: &Value, room: &Room) -> Option<Vec<Item>> {
    let Value::Array(entries) = value else { return None };
    entries.iter().map(|entry| item(entry, room)).collect()
}

fn item(value: &Value, room: &Room) -> Option<Item> {
    let Value::Array(parts) = value else { return None };
    let [id, Value::Array(fields)] = parts.as_slice() else { return None };
    let offset = offset(id)?;
    let field = |name: &str| fields.chunks_exact(2).find(|pair| text(&pair[0]) == Some(name)).map(|pair| &pair[1]);
    if field("b").is_some() {
        return Some(Item { offset, message: None });
    }
    let sender = UserId::parse(text(field("s")?)?).ok()?;
    let id = MessageId::parse(text(field("i")?)?).ok()?;
    let content = text(field("c")?)?.to_owned();
    let traceparent = field("t").and_then(text).and_then(|text| text.parse().ok());
    let entry = Entry::new(room.clone(), offset, sender, id, content, traceparent);
    Some(Item { offset, message: Some(Arc::new(entry)) })
}

/// What a bell carries: room, offset, mark.
pub(crate) fn bell(room: &Room, committed: Committed) -> String {
    format!("{room} {} {:016x}", committed.offset, u64::from_be_bytes(committed.mark))
}

pub(crate) fn heard(payload: &str) -> Option<(Room, Committed)> {
    let mut words = payload.split(' ');
    let (room, offset, mark) = (words.next()?, words.next()?, words.next()?);
    let mark = u64::from_str_radix(mark, 16).ok()?.to_be_bytes();
    Some((Room::parse(room).ok()?, Committed { offset: offset.parse().ok()?, mark }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn room() -> Room {
        Room::parse("r").unwrap()
    }

    #[test]
    fn entries_are_read_with_their_mark_and_a_birth_is_no_message() {
        let message = Value::Array(["s", "ann", "i", "1", "c", "hi there", "x", "y"].map(bulk).to_vec());
        let birth = Value::Array(["b", "1"].map(bulk).to_vec());
        let range =
            Value::Array(vec![Value::Array(vec![bulk("5-0"), birth]), Value::Array(vec![bulk("5-1"), message])]);
        let items = items(&range, &room()).unwrap();
        assert!(items[0].message.is_none());
        let entry = items[1].message.as_ref().unwrap();
        assert_eq!((entry.sender.as_str(), entry.content.as_str(), entry.offset.seq()), ("ann", "hi there", 1));
        let head = Value::Array(vec![Value::Array(["5-1", "ann", "1"].map(bulk).to_vec())]);
        let heads = heads(&head, &[&room()]).unwrap();
        assert_eq!(heads[0].unwrap().mark, entry.mark(), "a head proves the same message as its entry");
    }

    #[test]
    fn a_bell_says_what_it_was_rung_for() {
        let committed = Committed { offset: Offset::new(7, 3).unwrap(), mark: [0xfe; 8] };
        assert_eq!(heard(&bell(&room(), committed)), Some((room(), committed)));
        for noise in ["", "r", "r 00", "a b c d"] {
            assert_eq!(heard(noise), None, "{noise}");
        }
    }

    #[test]
    fn an_answer_of_another_shape_is_noticed() {
        assert_eq!(appended(&Value::Okay), None);
        assert_eq!(appended(&Value::Array(vec![bulk("new")])), None);
        assert_eq!(entered(&Value::Array(vec![bulk("empty")])), None);
        assert!(items(&Value::Array(vec![Value::Array(vec![bulk("5-0"), Value::Array(vec![])])]), &room()).is_none());
        assert!(heads(&Value::Array(vec![]), &[&room()]).is_none());
    }
}
