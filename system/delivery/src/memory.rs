//! The same contract without Redis, for one node: the same order, offsets, deduplication, resume and trimming. Nothing
//! survives the process.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use system_protocol::{Code, Offset, Refusal, Room};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::api::{Acked, Delivery, Outcome, Receipt, Submission};
use crate::config::Config;
use crate::entry::{Entry, Item};
use crate::health::Status;
use crate::names;
use crate::nursery::{self, Spawner};
use crate::outbox::Outbox;
use crate::probe::{Event, Probe};
use crate::rooms::Rooms;
use crate::rules::Rules;
use crate::session::{Hall, Session};
use crate::source::{Entrance, Soon, Source};
use crate::spans::{self, Origin};

type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

#[derive(Default)]
struct State {
    streams: BTreeMap<Room, VecDeque<Item>>,
    seen: BTreeMap<[u8; 32], Offset>,
    /// In the order of storing, to forget what is out of the dedupe window.
    age: VecDeque<[u8; 32]>,
    last: Option<Offset>,
    draining: bool,
}

struct Store {
    state: Mutex<State>,
    now_ms: Clock,
    config: Config,
    rooms: Arc<Rooms>,
    rules: Rules,
    probe: Arc<dyn Probe>,
    spawner: Spawner,
}

/// A log in memory.
pub struct Memory {
    store: Arc<Store>,
    hall: Arc<Hall>,
    _tasks: JoinSet<()>,
}

impl Memory {
    /// `now_ms`: Unix milliseconds. Of the settings it needs the windows, the limits and the page. Must be called
    /// inside a tokio runtime.
    pub fn start(config: Config, now_ms: impl Fn() -> u64 + Send + Sync + 'static, probe: Arc<dyn Probe>) -> Self {
        let (spawner, newcomers) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(nursery::run(newcomers));
        let rooms = Arc::new(Rooms::default());
        let rules = Rules::of(&config);
        let store = Arc::new(Store {
            state: Mutex::default(),
            now_ms: Arc::new(now_ms),
            config,
            rooms: rooms.clone(),
            rules: rules.clone(),
            probe: probe.clone(),
            spawner,
        });
        let hall = Arc::new(Hall { rooms, source: store.clone(), probe, rules });
        Memory { store, hall, _tasks: tasks }
    }
}

impl Delivery for Memory {
    fn submit(&self, submission: Submission) -> Receipt {
        let (answer, receipt) = oneshot::channel();
        let _ = answer.send(self.store.append(submission));
        Receipt(receipt)
    }

    fn session(&self, outbox: Arc<dyn Outbox>) -> Session {
        Session::new(self.hall.clone(), outbox)
    }

    fn status(&self) -> Status {
        let draining = self.store.lock().draining;
        let reason = draining.then(|| "draining".to_owned());
        let rooms = self.store.rooms.len();
        Status { ready: !draining, reason, draining, pending: 0, rooms, shards: Vec::new() }
    }

    fn drain(&self) {
        self.store.lock().draining = true;
    }

    fn drained(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores and delivers under one lock: the room's order is the order of storing.
    fn append(&self, submission: Submission) -> Outcome {
        let Submission { room, sender, id, content, traceparent } = submission;
        let hash = names::message_hash(&room, &sender, &id);
        let mut state = self.lock();
        let acked = |offset, duplicate| Outcome::Acked(Acked { id: id.clone(), offset, duplicate });
        if let Some(offset) = state.seen.get(&hash) {
            return acked(*offset, true);
        }
        if state.draining {
            return Outcome::Refused(Refusal::new(Code::Draining, "The node is draining"));
        }
        if state.streams.get(&room).is_some_and(|stream| stream.len() as u64 >= self.config.room_length) {
            return Outcome::Refused(Refusal::new(Code::RoomFull, "The room holds as many messages as it may"));
        }
        let span = spans::append(traceparent, &id, &room, &Origin::default());
        self.birth(&mut state, &room);
        let offset = self.next_offset(&mut state);
        let entry = Entry::new(room.clone(), offset, sender, id.clone(), content, traceparent);
        state.streams.entry(room.clone()).or_default().push_back(Item { offset, message: Some(Arc::new(entry)) });
        spans::appended(&span, offset, false);
        state.seen.insert(hash, offset);
        state.age.push_back(hash);
        self.forget_old(&mut state, &room);
        self.deliver(&state, &room);
        acked(offset, false)
    }

    fn next_offset(&self, state: &mut State) -> Offset {
        let now = (self.now_ms)();
        let next = match state.last {
            Some(last) if last.ms() >= now => Offset::new(last.ms(), last.seq() + 1),
            _ => Offset::new(now, 0),
        };
        let next = next.unwrap_or(Offset::MAX);
        state.last = Some(next);
        next
    }

    fn birth(&self, state: &mut State, room: &Room) -> Offset {
        if let Some(last) = state.streams.get(room).and_then(VecDeque::back) {
            return last.offset;
        }
        let offset = self.next_offset(state);
        state.streams.entry(room.clone()).or_default().push_back(Item { offset, message: None });
        offset
    }

    /// By age only; the newest entry that is too old stays as the anchor.
    fn forget_old(&self, state: &mut State, room: &Room) {
        let now = (self.now_ms)();
        let history = now.saturating_sub(self.config.history_window.as_millis() as u64);
        if let Some(stream) = state.streams.get_mut(room) {
            while stream.get(1).is_some_and(|second| second.offset.ms() <= history) {
                stream.pop_front();
            }
        }
        let known = now.saturating_sub(self.config.dedupe_window.as_millis() as u64);
        while let Some(hash) = state.age.front().copied()
            && state.seen.get(&hash).is_none_or(|offset| offset.ms() < known)
        {
            state.age.pop_front();
            state.seen.remove(&hash);
        }
    }

    fn deliver(&self, state: &State, room: &Room) {
        let (Some(cell), Some(stream)) = (self.rooms.get(room), state.streams.get(room)) else { return };
        let Some(cursor) = cell.cursor() else { return };
        let start = stream.partition_point(|item| item.offset < cursor);
        let items: Vec<Item> = stream.range(start..).cloned().collect();
        let handed = cell.deliver(&items, Offset::MAX, &self.rules, &Origin::default());
        if handed.missing {
            let sessions = cell.lose_history();
            self.probe.see(Event::HistoryLost { sessions });
        } else if handed.entries > 0 {
            self.probe.see(Event::Delivered { sessions: handed.sessions, failed: handed.failed });
        }
    }
}

impl Source for Store {
    fn listen<'a>(&'a self, _: &'a Room) -> Soon<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    fn enter<'a>(&'a self, room: &'a Room, at: Option<Offset>) -> Soon<'a, Result<Entrance, Refusal>> {
        let mut state = self.lock();
        let head = self.birth(&mut state, room);
        let held = at.is_some_and(|at| {
            state.streams.get(room).is_some_and(|stream| stream.binary_search_by_key(&at, |item| item.offset).is_ok())
        });
        Box::pin(std::future::ready(Ok(Entrance { head, held })))
    }

    fn page<'a>(&'a self, room: &'a Room, from: Offset) -> Soon<'a, Vec<Item>> {
        let state = self.lock();
        let page = state.streams.get(room).map_or_else(Vec::new, |stream| {
            let start = stream.partition_point(|item| item.offset < from);
            stream.range(start..).take(self.config.page + 1).cloned().collect()
        });
        Box::pin(std::future::ready(page))
    }

    fn pump(&self, room: &Room) {
        self.deliver(&self.lock(), room);
    }

    fn spawn(&self, task: Soon<'static, ()>) {
        let _ = self.spawner.send(task);
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
