//! Telling everybody, after the fence.

use std::collections::BTreeMap;

use system_protocol::Room;

use super::{Open, Writer};
use crate::connection::LinkError;
use crate::edge::Edge;
use crate::names;
use crate::replies::{self, Appended};
use crate::room::Committed;

impl<E: Edge> Writer<'_, E> {
    /// One bell per room, for its last entry. A bell that fails to ring is no error: sweeps find what it was for.
    pub(super) async fn ring(&mut self, open: &[Open]) -> Result<(), LinkError> {
        let bells = self.last_of_each_room(open);
        if bells.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for (room, committed) in bells {
            let channel = names::bell(names::partition_of(room));
            pipeline.cmd("SPUBLISH").arg(channel).arg(replies::bell(room, committed));
        }
        self.bound.link.ask(&pipeline).await.map(drop)
    }

    fn last_of_each_room<'a>(&self, open: &'a [Open]) -> BTreeMap<&'a Room, Committed> {
        let mut last: BTreeMap<&Room, Committed> = BTreeMap::new();
        for Open { message, appended, .. } in open {
            let (Appended::New(offset) | Appended::Known(offset)) = *appended else { continue };
            if self.shared.rules.drop_after_append(message.mark()) {
                continue;
            }
            let committed = Committed { offset, mark: message.mark() };
            let entry = last.entry(&message.room).or_insert(committed);
            if entry.offset < offset {
                *entry = committed;
            }
        }
        last
    }
}
