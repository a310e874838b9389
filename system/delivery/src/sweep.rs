//! One per shard, every 500 ms and after every reconnect: what did the bells miss?
//!
//! Asks each partition for the heads of its local rooms in one read-only call, under one fence for the whole shard, and
//! wakes the reader for rooms that are behind. So delivery does not depend on bells, and a writer that died between
//! fence and bell is covered too. Idle rooms are trimmed on the way.

use std::sync::Arc;

use system_protocol::Room;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::edge::Edge;
use crate::health::ShardState;
use crate::library;
use crate::names::Partition;
use crate::probe::Event;
use crate::question::{Found, question};
use crate::replies;
use crate::room::{Committed, RoomCell};
use crate::shards::Shared;
use crate::topology::ShardIndex;
use crate::trim::TrimTimes;

pub(crate) async fn run<E: Edge>(shared: Arc<Shared<E>>, index: ShardIndex, now: Arc<Notify>) {
    let mut trims = TrimTimes::new(shared.config.trim);
    loop {
        tokio::select! {
            biased;
            () = now.notified() => {}
            () = sleep(shared.config.sweep) => {}
        }
        if !shared.rules.no_sweep() {
            sweep(&shared, index, &mut trims).await;
        }
    }
}

async fn sweep<E: Edge>(shared: &Arc<Shared<E>>, index: ShardIndex, trims: &mut TrimTimes) {
    let topology = shared.now_topology();
    let mut tasks = JoinSet::new();
    let mut rooms = 0;
    for (partition, cells) in shared.rooms.by_partition() {
        if topology.home.get(&partition) != Some(&index) {
            continue;
        }
        rooms += cells.len();
        for cell in cells.iter().filter(|cell| trims.is_due(&cell.room, Instant::now())) {
            tasks.spawn(trim(shared.clone(), cell.clone()));
        }
        tasks.spawn(sweep_partition(shared.clone(), partition, cells));
    }
    let mut behind = 0;
    while let Some(done) = tasks.join_next().await {
        behind += done.unwrap_or(0);
    }
    if rooms > 0 {
        shared.probe.see(Event::Swept { shard: index, rooms, behind });
        // A fence held for this, so the shard can ack again, whether or not somebody writes.
        if matches!(shared.health.get(index), ShardState::Short { .. }) && shared.queue.pending() == 0 {
            shared.health.set(index, ShardState::Acking);
        }
    }
}

async fn trim<E: Edge>(shared: Arc<Shared<E>>, cell: Arc<RoomCell>) -> usize {
    question(&shared, cell.partition, library::trim(&cell.room, shared.history_window())).await;
    0
}

async fn sweep_partition<E: Edge>(shared: Arc<Shared<E>>, partition: Partition, cells: Vec<Arc<RoomCell>>) -> usize {
    let cells: Vec<_> = cells.into_iter().filter(|cell| cell.cursor().is_some()).collect();
    if cells.is_empty() {
        return 0;
    }
    // What had been handed out before the question; heads that are older than that come from another history.
    let cursors: Vec<_> = cells.iter().map(|cell| cell.cursor()).collect();
    let heads = match question(&shared, partition, library::heads(&cells)).await {
        Found::Value(value) => {
            let rooms: Vec<&Room> = cells.iter().map(|cell| &cell.room).collect();
            replies::heads(&value, &rooms)
        }
        Found::Migrating => one_by_one(&shared, partition, &cells).await,
    };
    let Some(heads) = heads else { return 0 };
    let mut behind = 0;
    for ((cell, head), cursor) in cells.iter().zip(heads).zip(cursors) {
        match head {
            Some(head) if cursor.is_none_or(|cursor| cursor <= head.offset) => behind += wake(&shared, cell, head),
            _ => {
                let sessions = cell.lose_history();
                shared.probe.see(Event::HistoryLost { sessions });
            }
        }
    }
    behind
}

/// While a slot migrates, a call with several keys is refused; each stream alone is on one side or the other.
async fn one_by_one<E: Edge>(
    shared: &Arc<Shared<E>>,
    partition: Partition,
    cells: &[Arc<RoomCell>],
) -> Option<Vec<Option<Committed>>> {
    let mut heads = Vec::new();
    for cell in cells {
        match question(shared, partition, library::heads(std::slice::from_ref(cell))).await {
            Found::Value(value) => heads.extend(replies::heads(&value, &[&cell.room])?),
            Found::Migrating => return None,
        }
    }
    Some(heads)
}

fn wake<E: Edge>(shared: &Shared<E>, cell: &Arc<RoomCell>, head: Committed) -> usize {
    if cell.told(head).is_none() {
        return 0;
    }
    shared.wake_reader(cell.clone());
    1
}
