//! What waits for an ack. One lane per sender and room; only a lane's first message is ever handed to a writer, so that
//! a partial failure cannot reorder a sender, also when a partition moves from one writer to another.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use system_protocol::{Code, MessageId, Refusal, Room, TraceParent, UserId};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::api::{Outcome, Receipt, Submission};
use crate::names::{self, PARTITIONS, Partition};

/// A slot on its way elsewhere is tried again this often.
pub(crate) const MIGRATION_RETRY: Duration = Duration::from_millis(100);
/// So many messages of such slots may be in one batch, so that the shard's other rooms go on.
const MIGRATION_BATCH: usize = 16;

/// One message on its way into the log.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) room: Room,
    pub(crate) partition: Partition,
    pub(crate) sender: UserId,
    pub(crate) id: MessageId,
    pub(crate) content: String,
    pub(crate) traceparent: Option<TraceParent>,
    pub(crate) hash: [u8; 32],
    pub(crate) submitted: Instant,
    pub(crate) deadline: Instant,
}

struct Waiting {
    message: Arc<Message>,
    answers: Vec<oneshot::Sender<Outcome>>,
}

type LaneKey = (Room, UserId);

struct State {
    lanes: BTreeMap<LaneKey, VecDeque<Waiting>>,
    /// By partition: lanes whose first message is in nobody's hands.
    ready: Vec<VecDeque<LaneKey>>,
    /// Partitions on their way to another shard, and when to try again.
    migrating: BTreeMap<Partition, Instant>,
    pending: usize,
    turn: usize,
    draining: bool,
}

pub(crate) struct Queue {
    state: Mutex<State>,
    limit: usize,
    emptied: Notify,
}

impl Queue {
    pub(crate) fn new(limit: usize) -> Self {
        let ready = (0..PARTITIONS).map(|_| VecDeque::new()).collect();
        let (lanes, migrating) = (BTreeMap::new(), BTreeMap::new());
        let state = State { lanes, ready, migrating, pending: 0, turn: 0, draining: false };
        Queue { state: Mutex::new(state), limit, emptied: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message in. The same id again joins the one that waits.
    pub(crate) fn submit(&self, submission: Submission, patience: Duration) -> Receipt {
        let mut state = self.lock();
        let key = (submission.room.clone(), submission.sender.clone());
        let (answer, receipt) = oneshot::channel();
        if let Some(twin) = state.find(&key, &submission.id) {
            twin.answers.retain(|answer| !answer.is_closed());
            twin.answers.push(answer);
            return Receipt(receipt);
        }
        if state.draining {
            return Receipt::refused(Refusal::new(Code::Draining, "The node is draining"));
        }
        if state.pending >= self.limit {
            return Receipt::refused(Refusal::new(Code::Unavailable, "Too many messages wait for an ack"));
        }
        let message = Arc::new(Message::new(submission, patience));
        let partition = message.partition;
        let lane = state.lanes.entry(key.clone()).or_default();
        lane.push_back(Waiting { message, answers: vec![answer] });
        if lane.len() == 1 {
            state.ready[usize::from(partition)].push_back(key);
        }
        state.pending += 1;
        Receipt(receipt)
    }

    /// Up to `most` messages of these partitions, at most one per lane. Partitions take turns at being first.
    pub(crate) fn take(&self, partitions: &[Partition], most: usize, now: Instant) -> Vec<Arc<Message>> {
        let mut state = self.lock();
        state.turn = state.turn.wrapping_add(1);
        let start = state.turn % partitions.len().max(1);
        let mut taken = Vec::new();
        let mut migrating = 0;
        for partition in partitions[start..].iter().chain(&partitions[..start]) {
            let held = state.migrating.get(partition).copied();
            if held.is_some_and(|until| now < until) {
                continue;
            }
            while taken.len() < most && (held.is_none() || migrating < MIGRATION_BATCH) {
                let Some(key) = state.ready[usize::from(*partition)].pop_front() else { break };
                if let Some(first) = state.lanes.get(&key).and_then(VecDeque::front) {
                    taken.push(first.message.clone());
                    migrating += usize::from(held.is_some());
                }
            }
        }
        taken
    }

    /// The end of a message in a writer's hands; the next of its lane may go.
    pub(crate) fn resolve(&self, message: &Message, outcome: &Outcome) {
        let mut state = self.lock();
        let key = (message.room.clone(), message.sender.clone());
        let Some(lane) = state.lanes.get_mut(&key) else { return };
        let Some(first) = lane.pop_front() else { return };
        let empty = lane.is_empty();
        if empty {
            state.lanes.remove(&key);
        } else {
            state.ready[usize::from(message.partition)].push_back(key);
        }
        state.pending -= 1;
        if state.pending == 0 {
            self.emptied.notify_waiters();
        }
        drop(state);
        for answer in first.answers {
            let _ = answer.send(outcome.clone());
        }
    }

    /// Not resolved: the same messages again, before all others, in the same order.
    pub(crate) fn put_back(&self, messages: &[Arc<Message>]) {
        let mut state = self.lock();
        for message in messages.iter().rev() {
            let key = (message.room.clone(), message.sender.clone());
            state.ready[usize::from(message.partition)].push_front(key);
        }
    }

    /// The partition is on its way to another shard: leave it alone for a moment.
    pub(crate) fn hold(&self, partition: Partition, now: Instant) {
        self.lock().migrating.insert(partition, now + MIGRATION_RETRY);
    }

    pub(crate) fn settled(&self, partition: Partition) {
        self.lock().migrating.remove(&partition);
    }

    /// When the first of these partitions that is held back may be tried again.
    pub(crate) fn next_try(&self, partitions: &[Partition]) -> Option<Instant> {
        let state = self.lock();
        let waits = |partition: &&Partition| !state.ready[usize::from(**partition)].is_empty();
        partitions.iter().filter(waits).filter_map(|partition| state.migrating.get(partition).copied()).min()
    }

    /// Drops a message in a writer's hands and everything behind it of that sender and room, unanswered: what follows
    /// must not overtake a message whose outcome nobody knows. Returns how many.
    pub(crate) fn abandon(&self, message: &Message) -> usize {
        let mut state = self.lock();
        let dropped = state.drop_lane(&(message.room.clone(), message.sender.clone()));
        self.tell_when_empty(&state);
        dropped
    }

    /// The same for messages in nobody's hands whose deadline has passed.
    pub(crate) fn expire(&self, now: Instant) -> usize {
        let mut state = self.lock();
        let State { ready, lanes, .. } = &mut *state;
        let late =
            |key: &LaneKey| lanes.get(key).and_then(VecDeque::front).is_none_or(|first| first.message.deadline <= now);
        let mut expired = Vec::new();
        for keys in ready.iter_mut().filter(|keys| !keys.is_empty()) {
            expired.extend(keys.iter().filter(|key| late(key)).cloned());
            keys.retain(|key| !late(key));
        }
        let dropped = expired.iter().map(|key| state.drop_lane(key)).sum();
        self.tell_when_empty(&state);
        dropped
    }

    fn tell_when_empty(&self, state: &State) {
        if state.pending == 0 {
            self.emptied.notify_waiters();
        }
    }

    pub(crate) fn pending(&self) -> usize {
        self.lock().pending
    }

    pub(crate) fn draining(&self) -> bool {
        self.lock().draining
    }

    pub(crate) fn drain(&self) {
        self.lock().draining = true;
    }

    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.pending() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

impl State {
    fn find(&mut self, key: &LaneKey, id: &MessageId) -> Option<&mut Waiting> {
        self.lanes.get_mut(key)?.iter_mut().find(|waiting| waiting.message.id == *id)
    }

    fn drop_lane(&mut self, key: &LaneKey) -> usize {
        let dropped = self.lanes.remove(key).map_or(0, |lane| lane.len());
        self.pending -= dropped;
        dropped
    }
}

impl Message {
    fn new(submission: Submission, patience: Duration) -> Self {
        let Submission { room, sender, id, content, traceparent } = submission;
        let (partition, hash) = (names::partition_of(&room), names::message_hash(&room, &sender, &id));
        let submitted = Instant::now();
        let deadline = submitted + patience;
        Message { room, partition, sender, id, content, traceparent, hash, submitted, deadline }
    }

    pub(crate) fn mark(&self) -> [u8; 8] {
        names::mark(&self.hash)
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
