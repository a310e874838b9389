//! One per shard: reads what bells and sweeps tell of, and hands it to the rooms.
//!
//! Every read begins inclusively at the last entry handed out, and is believed only up to a committed entry that this
//! very server holds: the same offset and the same message. A primary that was paused or cut off lacks it. No WAIT is
//! ever sent on this connection, so a short fence delays no delivery.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use system_protocol::{Offset, Room};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connection::{Complaint, Link, LinkError, complaint};
use crate::edge::Edge;
use crate::entry::Item;
use crate::fence::origin;
use crate::library;
use crate::probe::Event;
use crate::question::{Found, question};
use crate::replies;
use crate::room::{Committed, RoomCell};
use crate::shards::Shared;
use crate::spans::Origin;
use crate::topology::{Shard, ShardIndex};

/// So many rooms share one round trip.
const ROOMS: usize = 64;
const BREATH: Duration = Duration::from_millis(20);

/// A room with something to read.
pub(crate) type Wanted = Arc<RoomCell>;

/// Who waits for a turn; a room that has more than a page goes to the end.
#[derive(Default)]
struct Turns {
    order: VecDeque<Wanted>,
    queued: BTreeSet<Room>,
}

impl Turns {
    fn push(&mut self, cell: Wanted) {
        if self.queued.insert(cell.room.clone()) {
            self.order.push_back(cell);
        }
    }

    fn take(&mut self, most: usize) -> Vec<Wanted> {
        let taken: Vec<Wanted> = self.order.drain(..most.min(self.order.len())).collect();
        for cell in &taken {
            self.queued.remove(&cell.room);
        }
        taken
    }
}

pub(crate) async fn run<E: Edge>(
    shared: Arc<Shared<E>>,
    index: ShardIndex,
    mut wanted: mpsc::UnboundedReceiver<Wanted>,
) {
    let mut turns = Turns::default();
    loop {
        let shard = shared.primary(index).await;
        let error = match shared.reach(&shard, Link::open(&shared.edge, &shared.config, &shard.address)).await {
            Ok(link) => {
                let origin = origin(&shard);
                Reader { shared: &shared, link, shard: shard.clone(), origin, detours: JoinSet::new() }
                    .work(&mut turns, &mut wanted)
                    .await
            }
            Err(error) => error,
        };
        tracing::debug!(target: "holdfast", shard = index, %error, "reader lost its connection");
        shared.suspect(&shard);
        if let Some(handle) = shared.handle(index) {
            handle.sweep_now.notify_one();
        }
        tokio::time::sleep(BREATH).await;
    }
}

struct Reader<'a, E: Edge> {
    shared: &'a Arc<Shared<E>>,
    link: Link,
    shard: Shard,
    origin: Origin,
    detours: JoinSet<()>,
}

/// One room's turn: from where, and up to which committed entry.
struct Turn {
    cell: Wanted,
    from: Offset,
    upto: Committed,
}

impl<E: Edge> Reader<'_, E> {
    async fn work(mut self, turns: &mut Turns, wanted: &mut mpsc::UnboundedReceiver<Wanted>) -> LinkError {
        loop {
            if let Err(error) = self.turn(turns, wanted).await {
                return error;
            }
        }
    }

    async fn turn(&mut self, turns: &mut Turns, wanted: &mut mpsc::UnboundedReceiver<Wanted>) -> Result<(), LinkError> {
        if !self.shared.stands(&self.shard) {
            return Err(self.link.superseded());
        }
        if turns.order.is_empty() {
            match timeout(self.shared.config.idle(), wanted.recv()).await {
                Ok(Some(cell)) => turns.push(cell),
                Ok(None) => std::future::pending().await,
                Err(_) => return self.link.ping().await,
            }
        }
        while self.detours.try_join_next().is_some() {}
        while let Ok(cell) = wanted.try_recv() {
            turns.push(cell);
        }
        let now: Vec<Turn> = turns.take(ROOMS).into_iter().filter_map(turn_of).collect();
        let mut again = Vec::new();
        let outcome = self.read(&now, &mut again).await;
        if outcome.is_err() {
            again = now.into_iter().map(|turn| turn.cell).collect();
        }
        for cell in again {
            turns.push(cell);
        }
        outcome
    }

    /// For each room a page from its cursor on, and the entry that proves it, behind the page on the same connection.
    async fn read(&mut self, now: &[Turn], again: &mut Vec<Wanted>) -> Result<(), LinkError> {
        if now.is_empty() {
            return Ok(());
        }
        let trusting = self.shared.rules.believe_stale() || self.shared.rules.uncommitted();
        let mut pipeline = redis::pipe();
        for Turn { cell, from, upto } in now {
            let to = (!trusting).then_some(upto.offset);
            pipeline.add_command(library::range(&cell.room, *from, to, self.shared.config.page + 1));
            pipeline.add_command(library::range(&cell.room, upto.offset, Some(upto.offset), 1));
        }
        let answers = self.link.ask(&pipeline).await?;
        for (turn, answers) in now.iter().zip(answers.chunks_exact(2)) {
            let room = &turn.cell.room;
            let (Some(page), Some(proof)) = (self.items(&answers[0], room)?, self.items(&answers[1], room)?) else {
                turn.cell.forget_told();
                self.detours.spawn(detour(self.shared.clone(), turn.cell.clone(), turn.from));
                continue;
            };
            let same = |item: &Item| item.mark() == turn.upto.mark || self.shared.rules.no_mark();
            let held = proof.first().is_some_and(|item| item.offset == turn.upto.offset && same(item));
            if trusting {
                self.deliver(&turn.cell, &page, Offset::MAX);
            } else if held {
                self.deliver(&turn.cell, &page, turn.upto.offset);
            } else {
                self.disbelieve(&turn.cell);
                continue;
            }
            if turn.cell.behind().is_some() && page.len() > 1 {
                again.push(turn.cell.clone());
            }
        }
        Ok(())
    }

    /// `None` for a slot that is not here.
    fn items(&self, answer: &Value, room: &Room) -> Result<Option<Vec<Item>>, LinkError> {
        if let Value::ServerError(error) = answer {
            self.shared.kick();
            return match complaint(error) {
                Complaint::Other => Err(self.link.refuses(error)),
                _ => Ok(None),
            };
        }
        replies::items(answer, room).map(Some).ok_or_else(|| self.link.nonsense("no entries to XRANGE"))
    }

    fn deliver(&self, cell: &RoomCell, page: &[Item], upto: Offset) {
        hand_out(self.shared, cell, page, upto, &self.origin);
    }

    /// This server lacks what is known to be committed. Nothing of it is delivered; the sweep will tell again.
    fn disbelieve(&self, cell: &RoomCell) {
        cell.forget_told();
        self.shared.kick();
        self.shared.probe.see(Event::Unproven { shard: self.shard.index });
    }
}

fn hand_out<E: Edge>(shared: &Shared<E>, cell: &RoomCell, page: &[Item], upto: Offset, origin: &Origin) {
    let handed = cell.deliver(page, upto, &shared.rules, origin);
    if handed.missing {
        let sessions = cell.lose_history();
        shared.probe.see(Event::HistoryLost { sessions });
    }
    if let Some(last) = page.last().filter(|_| handed.entries > 0) {
        let behind = Duration::from_millis(shared.edge.now_ms().saturating_sub(last.offset.ms()));
        shared.probe.see(Event::Read { shard: origin.shard, entries: handed.entries, behind });
        shared.probe.see(Event::Delivered { sessions: handed.sessions, failed: handed.failed });
    }
}

/// The slot is elsewhere, or on its way: one page by the way of joins, which follows ASK and proves by a fence.
async fn detour<E: Edge>(shared: Arc<Shared<E>>, cell: Wanted, from: Offset) {
    let command = library::range(&cell.room, from, None, shared.config.page + 1);
    if let Found::Value(value) = question(&shared, cell.partition, command).await
        && let Some(page) = replies::items(&value, &cell.room)
    {
        hand_out(&shared, &cell, &page, Offset::MAX, &Origin::default());
    }
}

fn turn_of(cell: Wanted) -> Option<Turn> {
    let (from, upto) = (cell.cursor()?, cell.behind()?);
    Some(Turn { cell, from, upto })
}
