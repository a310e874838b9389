//! Rules broken between the append and the fence: they need the two apart. Only in builds with debug assertions; which
//! rules is in `crate::broken`.

use std::sync::Arc;

use redis::Value;
use tracing::Span;

use super::{Open, Writer};
use crate::connection::LinkError;
use crate::edge::Edge;
use crate::names;
use crate::queue::Message;
use crate::replies;

/// Takes a room's last entry out again, if it is this message.
const TAKE_OUT: &str = "local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last and last[2][4] == ARGV[1] then return redis.call('XDEL', KEYS[1], last[1]) end
return 0";

impl<E: Edge> Writer<'_, E> {
    pub(super) fn broken_in_between(&self) -> bool {
        let broken = &self.shared.config.broken;
        broken.read_only_hit || broken.uncommitted || broken.drop_after_append.is_some()
    }

    pub(super) async fn append_in_steps(&mut self, batch: &[Arc<Message>]) -> Result<(Vec<Value>, usize), LinkError> {
        let mut answers = self.calls_or_reads(batch).await?;
        if self.shared.rules.uncommitted() {
            let seen =
                batch.iter().zip(&answers).filter_map(|(m, answer)| Some((m.clone(), replies::appended(answer)?)));
            let open: Vec<Open> =
                seen.map(|(message, appended)| Open { message, appended, span: Span::none() }).collect();
            self.ring(&open).await?;
        }
        let mut fence = redis::pipe();
        let asked = self.add_fence(&mut fence);
        answers.extend(self.bound.link.ask(&fence).await?);
        Ok((answers, asked))
    }

    async fn calls_or_reads(&mut self, batch: &[Arc<Message>]) -> Result<Vec<Value>, LinkError> {
        let mut known = vec![Value::Nil; batch.len()];
        if self.shared.config.broken.read_only_hit {
            let mut reads = redis::pipe();
            for message in batch {
                reads.cmd("GET").arg(names::dedupe(message.partition, &message.hash));
            }
            known = self.bound.link.ask(&reads).await?;
        }
        let mut calls = redis::pipe();
        let mut kept = Vec::new();
        for message in batch.iter().zip(&known).filter(|(_, id)| replies::offset(id).is_none()).map(|(m, _)| m) {
            kept.push(calls.len());
            calls.add_command(self.call(message));
            if self.shared.rules.drop_after_append(message.mark()) {
                // Right behind the append, before anybody can have read it.
                calls.cmd("EVAL").arg(TAKE_OUT).arg(1).arg(names::stream(&message.room)).arg(message.id.as_str());
            }
        }
        let answers = if calls.is_empty() { Vec::new() } else { self.bound.link.ask(&calls).await? };
        let mut called = answers.into_iter().enumerate().filter(|(at, _)| kept.contains(at)).map(|(_, answer)| answer);
        let hit = |id: Value| Value::Array(vec![Value::SimpleString("known".to_owned()), id]);
        let answer = |id: Value| if replies::offset(&id).is_some() { Some(hit(id)) } else { called.next() };
        Ok(known.into_iter().filter_map(answer).collect())
    }
}
