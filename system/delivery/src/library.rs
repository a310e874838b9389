//! The Redis Functions that the log calls, and how they get to a primary.
//!
//! Functions rather than scripts: a library replicates, so FCALL works on a promoted node where EVALSHA answers
//! NOSCRIPT. It replicates inside a shard only, so every primary gets it.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, ServerErrorKind, Value};
use system_protocol::{Offset, Room};

use crate::config::Config;
use crate::connection::{Link, LinkError};
use crate::names::{self, Partition};
use crate::queue::Message;
use crate::room::RoomCell;

const SOURCE: &str = include_str!("append.lua");
const APPEND: &str = "holdfast_append_v1";
const ENTER: &str = "holdfast_enter_v1";
const TRIM: &str = "holdfast_trim_v1";
const HEADS: &str = "holdfast_heads_v1";

/// Loads the library where it is missing. The name carries the version, so one that is there is the one we mean.
pub(crate) async fn load(link: &mut Link) -> Result<(), LinkError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("FUNCTION").arg("LOAD").arg(SOURCE);
    match link.ask(&pipeline).await?.first() {
        Some(Value::ServerError(error)) if !harmless(error) => Err(link.refuses(error)),
        Some(_) => Ok(()),
        None => Err(link.nonsense("no answer to FUNCTION LOAD")),
    }
}

/// It is there; or we may not load it, and an operator has.
fn harmless(error: &redis::ServerError) -> bool {
    error.kind() == Some(ServerErrorKind::NoPerm) || error.details().is_some_and(|text| text.contains("already exists"))
}

/// `trim` when this room is due: the window that stays.
pub(crate) fn append(message: &Message, dedupe: &str, trim: Option<Duration>, config: &Config) -> Cmd {
    let mut call = redis::cmd("FCALL");
    let room = &message.room;
    call.arg(APPEND).arg(3).arg(names::stream(room)).arg(dedupe).arg(names::rooms(message.partition));
    call.arg(config.dedupe_window.as_millis() as u64).arg(config.rooms_per_partition).arg(config.room_length);
    call.arg(trim.map_or(0, |window| window.as_millis() as u64));
    call.arg(message.sender.as_str()).arg(message.id.as_str()).arg(&message.content);
    call.arg(message.traceparent.map(|trace| trace.to_string()).unwrap_or_default());
    call
}

pub(crate) fn enter(room: &Room, at: Option<Offset>, config: &Config) -> Cmd {
    let mut call = redis::cmd("FCALL");
    let partition = names::partition_of(room);
    call.arg(ENTER).arg(2).arg(names::stream(room)).arg(names::rooms(partition)).arg(config.rooms_per_partition);
    call.arg(at.map(Offset::stream_id).unwrap_or_default());
    call
}

pub(crate) fn trim(room: &Room, window: Duration) -> Cmd {
    let mut call = redis::cmd("FCALL");
    call.arg(TRIM).arg(1).arg(names::stream(room)).arg(window.as_millis() as u64);
    call
}

/// The heads of several rooms of one partition.
pub(crate) fn heads(rooms: &[Arc<RoomCell>]) -> Cmd {
    let mut call = redis::cmd("FCALL_RO");
    call.arg(HEADS).arg(rooms.len());
    for cell in rooms {
        call.arg(names::stream(&cell.room));
    }
    call
}

/// Entries from an offset on, inclusive.
pub(crate) fn range(room: &Room, from: Offset, to: Option<Offset>, count: usize) -> Cmd {
    let mut range = redis::cmd("XRANGE");
    range.arg(names::stream(room)).arg(from.stream_id());
    range.arg(to.map_or_else(|| "+".to_owned(), Offset::stream_id)).arg("COUNT").arg(count);
    range
}

/// A real write, so that WAIT has something to wait for.
pub(crate) fn fence_write(partition: Partition) -> Cmd {
    let mut set = redis::cmd("SET");
    set.arg(names::fence(partition)).arg(1);
    set
}
