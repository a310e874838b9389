//! Temporary: the contract in memory until `system-delivery` has its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use socketioxide::adapter::LocalAdapter;
use system_protocol::{ChatMessage, Joined, Left, MessageId, Offset, Refusal, Room, Sent, UserId};

use crate::backend::{Backend, Message, Outcome, Status};
use crate::config::{RedisSettings, Settings};
use crate::socket::RoomOutbox;

type Out = Arc<RoomOutbox<LocalAdapter>>;

#[derive(Default)]
struct State {
    rooms: BTreeMap<Room, RoomState>,
    next: u64,
}

#[derive(Default)]
struct RoomState {
    entries: Vec<ChatMessage>,
    seen: HashMap<(UserId, MessageId), (Offset, u64)>,
    members: BTreeMap<u64, Out>,
    head: Option<Offset>,
}

pub(crate) struct Stub(Arc<Mutex<State>>);

pub(crate) fn memory(_: &Settings) -> Stub {
    Stub(Arc::default())
}

pub(crate) fn durable(_: &Settings, _: RedisSettings) -> Stub {
    Stub(Arc::default())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

fn next(state: &mut State) -> Offset {
    state.next += 1;
    Offset::new(now(), state.next).unwrap()
}

pub(crate) struct Member(Room, u64);

impl Backend for Stub {
    type Adapter = LocalAdapter;
    type Member = Member;

    fn join(
        &self,
        outbox: Out,
        offset: Option<Offset>,
    ) -> impl Future<Output = Result<(Member, bool), Refusal>> + Send + 'static {
        let mut state = self.0.lock().unwrap();
        let birth = next(&mut state);
        let id = state.next;
        let room = state.rooms.entry(outbox.room.clone()).or_default();
        let head = *room.head.get_or_insert(birth);
        let joined =
            Joined { room: outbox.room.clone(), offset: offset.or(Some(head)), head: Some(head), recovered: true };
        let _ = outbox.joined(&joined);
        for entry in room.entries.iter().filter(|e| offset.is_some() && e.offset > offset) {
            let _ = outbox.message(entry, true);
        }
        let name = outbox.room.clone();
        room.members.insert(id, outbox);
        std::future::ready(Ok((Member(name, id), true)))
    }

    fn position(&self, member: &Member) -> Joined {
        let head = self.0.lock().unwrap().rooms[&member.0].head;
        Joined { room: member.0.clone(), offset: head, head, recovered: true }
    }

    fn leave(&self, member: Member) -> Left {
        let mut state = self.0.lock().unwrap();
        let room = state.rooms.get_mut(&member.0).unwrap();
        room.members.remove(&member.1);
        Left { room: member.0, offset: room.head }
    }

    fn submit(&self, m: Message) -> impl Future<Output = Outcome> + Send + 'static {
        let mut state = self.0.lock().unwrap();
        let offset = next(&mut state);
        let room = state.rooms.entry(m.room.clone()).or_default();
        let key = (m.sender.clone(), m.id.clone());
        let sent = |offset: Offset| Sent { id: m.id.clone(), offset: Some(offset), timestamp: offset.ms() };
        let outcome = if let Some((offset, _)) = room.seen.get(&key) {
            Outcome::Stored { sent: sent(*offset), duplicate: true }
        } else {
            room.seen.insert(key, (offset, 0));
            let entry = ChatMessage {
                id: m.id.clone(),
                room: m.room,
                sender: m.sender,
                content: m.content,
                timestamp: offset.ms(),
                offset: Some(offset),
                traceparent: m.traceparent.filter(|t| t.sampled()),
            };
            for member in room.members.values() {
                let _ = member.message(&entry, false);
            }
            room.entries.push(entry);
            room.head = Some(offset);
            Outcome::Stored { sent: sent(offset), duplicate: false }
        };
        std::future::ready(outcome)
    }

    fn status(&self) -> Status {
        Status::default()
    }

    async fn drained(&self) {}
}
