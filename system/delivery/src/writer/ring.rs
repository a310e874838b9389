//! Telling everybody, after the fence.

use std::collections::BTreeMap;

use redis::Value;
use system_protocol::{Offset, Room};

use super::{Open, Writer};
use crate::connection::LinkError;
use crate::edge::Edge;
use crate::names;
use crate::queue::Message;
use crate::replies::{self, Appended};
use crate::room::Committed;
use crate::spans;

impl<E: Edge> Writer<'_, E> {
    /// One bell per room, for its last entry. A bell that fails to ring is no error: sweeps find what it was for.
    pub(super) async fn ring(&mut self, open: &[Open]) -> Result<(), LinkError> {
        let bells = self.last_of_each_room(open);
        if bells.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for (room, committed) in &bells {
            let channel = names::bell(names::partition_of(room));
            pipeline.cmd("SPUBLISH").arg(channel).arg(replies::bell(room, *committed));
        }
        let answers = self.bound.link.ask(&pipeline).await?;
        let rung: BTreeMap<&Room, &Value> = bells.into_keys().zip(&answers).collect();
        for (message, offset) in self.told(open) {
            if let Some(Value::Int(listeners)) = rung.get(&message.room) {
                spans::rung(message.traceparent, &message.id, offset, *listeners);
            }
        }
        Ok(())
    }

    /// What others are to hear of.
    fn told<'a>(&self, open: &'a [Open]) -> impl Iterator<Item = (&'a Message, Offset)> {
        let stored = open.iter().filter_map(|open| match open.appended {
            Appended::New(offset) | Appended::Known(offset) => Some((&*open.message, offset)),
            Appended::RoomLimit | Appended::RoomFull => None,
        });
        stored.filter(|(message, _)| !self.shared.rules.drop_after_append(message.mark()))
    }

    fn last_of_each_room<'a>(&self, open: &'a [Open]) -> BTreeMap<&'a Room, Committed> {
        let mut last: BTreeMap<&Room, Committed> = BTreeMap::new();
        for (message, offset) in self.told(open) {
            let committed = Committed { offset, mark: message.mark() };
            let entry = last.entry(&message.room).or_insert(committed);
            if entry.offset < offset {
                *entry = committed;
            }
        }
        last
    }
}
