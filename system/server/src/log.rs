//! Temporary: the contract in memory until `system-delivery` has its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use socketioxide::adapter::LocalAdapter;
use system_protocol::{ChatMessage, Joined, Left, MessageId, Offset, Refusal, Room, Sent, UserId};

use crate::backend::{Backend, Message, Outcome, Status};
use crate::config::{RedisSettings, Settings};
use crate::socket::Outbox;

type Out = Arc<Outbox<LocalAdapter>>;

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

pub(crate) struct Session(u64, Out, Arc<Mutex<State>>);

impl Drop for Session {
    fn drop(&mut self) {
        for room in self.2.lock().unwrap().rooms.values_mut() {
            room.members.remove(&self.0);
        }
    }
}

impl Backend for Stub {
    type Adapter = LocalAdapter;
    type Session = Session;

    fn session(&self, outbox: Out) -> Session {
        let mut state = self.0.lock().unwrap();
        next(&mut state);
        Session(state.next, outbox, self.0.clone())
    }

    fn join(
        &self,
        session: &Session,
        name: Room,
        offset: Option<Offset>,
    ) -> impl Future<Output = Result<Joined, Refusal>> + Send + 'static {
        let mut state = self.0.lock().unwrap();
        let birth = next(&mut state);
        let room = state.rooms.entry(name.clone()).or_default();
        let head = *room.head.get_or_insert(birth);
        let again = room.members.contains_key(&session.0);
        let offset = if again { Some(head) } else { offset };
        let joined = Joined { room: name, offset: offset.or(Some(head)), head: Some(head), recovered: true };
        let _ = session.1.joined(&joined);
        for entry in room.entries.iter().filter(|e| offset.is_some() && e.offset > offset) {
            let _ = session.1.message(entry, true);
        }
        room.members.insert(session.0, session.1.clone());
        std::future::ready(Ok(joined))
    }

    fn leave(&self, session: &Session, room: &Room) -> Option<Left> {
        let mut state = self.0.lock().unwrap();
        let state = state.rooms.get_mut(room)?;
        state.members.remove(&session.0)?;
        Some(Left { room: room.clone(), offset: state.head })
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

    fn drain(&self) {}

    async fn drained(&self) {}
}
