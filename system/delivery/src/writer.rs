//! One per shard: appends what is queued, fences it, acks it, rings the bells.
//!
//! Handed to a writer, a message is acked or never answered. Whatever fails, the connection is dropped, the topology is
//! read again, and the same messages go out again in order; the dedupe key makes a second append of one impossible.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use system_protocol::{Code, Offset, Refusal};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tracing::Span;

use crate::api::{Acked, Outcome};
use crate::config::Fence;
use crate::connection::{Complaint, LinkError, complaint};
use crate::edge::Edge;
use crate::fence::{Bound, FENCE_COMMANDS, Fenced};
use crate::health::ShardState;
use crate::library;
use crate::names;
use crate::probe::Event;
use crate::queue::Message;
use crate::replies::{self, Appended};
use crate::shards::Shared;
use crate::spans;
use crate::topology::ShardIndex;
use crate::trim::TrimTimes;

#[cfg(debug_assertions)]
mod broken;
mod ring;

/// After a failure, so that a server that refuses at once is not hammered.
const BREATH: Duration = Duration::from_millis(20);

pub(crate) async fn run<E: Edge>(shared: Arc<Shared<E>>, index: ShardIndex, wake: Arc<Notify>) {
    let mut trims = TrimTimes::new(shared.config.trim);
    loop {
        let Some(shard) = shared.usable(index) else {
            shared.health.unreachable(index, "no primary is known, or no majority confirms it");
            shared.news(shared.config.idle()).await;
            continue;
        };
        let outcome = match shared.reach(&shard, Bound::open(&shared, shard.clone())).await {
            Ok(bound) => {
                bound.tell(&shared);
                Writer { shared: &shared, bound, wake: &wake, trims: &mut trims }.work().await
            }
            Err(error) => error,
        };
        shared.health.set(index, ShardState::Unreachable { why: outcome.to_string() });
        tracing::info!(target: "holdfast", shard = index, error = %outcome, "writer lost its connection");
        shared.suspect(&shard);
        tokio::time::sleep(BREATH).await;
    }
}

struct Writer<'a, E: Edge> {
    shared: &'a Shared<E>,
    bound: Bound,
    wake: &'a Notify,
    trims: &'a mut TrimTimes,
}

/// A message whose append was answered and whose fence is still open.
struct Open {
    message: Arc<Message>,
    appended: Appended,
    span: Span,
}

impl<E: Edge> Writer<'_, E> {
    /// Works until the connection is of no use any more.
    async fn work(mut self) -> LinkError {
        loop {
            if let Err(error) = self.turn().await {
                return error;
            }
        }
    }

    async fn turn(&mut self) -> Result<(), LinkError> {
        // The topology may say that the shard has more or fewer partitions than when the connection was made.
        let Some(shard) = self.shared.usable(self.bound.shard.index).filter(|_| self.shared.stands(&self.bound.shard))
        else {
            return Err(self.bound.link.superseded());
        };
        self.bound.shard = shard;
        let batch = self.shared.queue.take(&self.bound.shard.partitions, self.shared.config.batch, Instant::now());
        if batch.is_empty() {
            return self.idle().await;
        }
        let mut unresolved = batch;
        let outcome = self.send(&mut unresolved).await;
        self.put_back(&unresolved);
        outcome
    }

    /// Some of it may be another shard's by now.
    fn put_back(&self, unresolved: &[Arc<Message>]) {
        self.shared.queue.put_back(unresolved);
        if !unresolved.is_empty() {
            for handle in self.shared.handles() {
                handle.wake_writer.notify_one();
            }
        }
    }

    async fn idle(&mut self) -> Result<(), LinkError> {
        let quiet = Instant::now() + self.shared.config.idle();
        let retry = self.shared.queue.next_try(&self.bound.shard.partitions);
        tokio::select! {
            biased;
            () = self.wake.notified() => Ok(()),
            () = sleep_until(retry.unwrap_or(quiet)), if retry.is_some_and(|at| at < quiet) => Ok(()),
            () = sleep_until(quiet) => self.bound.look(self.shared).await,
        }
    }

    /// Takes out of `unresolved` what came to an end; the rest is to be tried again.
    async fn send(&mut self, unresolved: &mut Vec<Arc<Message>>) -> Result<(), LinkError> {
        let began = Instant::now();
        let spans: Vec<Span> =
            unresolved.iter().map(|m| spans::append(m.traceparent, &m.id, &m.room, &self.bound.origin)).collect();
        let (answers, asked) = match self.append(unresolved).await {
            Ok(answers) => answers,
            Err(error) => {
                for span in &spans {
                    spans::failed(span, &error);
                }
                return Err(error);
            }
        };
        let (open, serious) = self.sort_answers(unresolved, spans, &answers);
        if let Some(error) = serious {
            return Err(error);
        }
        if open.is_empty() {
            return Ok(());
        }
        let (shard, took) = (self.bound.shard.index, began.elapsed());
        self.shared.probe.see(Event::Appended { shard, messages: open.len(), took });
        self.settle(open, unresolved, &answers[answers.len() - FENCE_COMMANDS..], asked, began).await
    }

    /// The calls and one WAIT behind them. The answers of the fence come last.
    async fn append(&mut self, batch: &[Arc<Message>]) -> Result<(Vec<Value>, usize), LinkError> {
        #[cfg(debug_assertions)]
        if self.broken_in_between() {
            return self.append_in_steps(batch).await;
        }
        let mut pipeline = redis::pipe();
        for message in batch {
            pipeline.add_command(self.call(message));
        }
        let asked = self.add_fence(&mut pipeline);
        Ok((self.bound.link.ask(&pipeline).await?, asked))
    }

    fn add_fence(&self, pipeline: &mut redis::Pipeline) -> usize {
        if self.shared.config.fence == Fence::Full {
            return self.bound.add_fence(self.shared, pipeline);
        }
        // As many answers as a fence has, and none of them means anything.
        for _ in 0..FENCE_COMMANDS {
            pipeline.cmd("PING");
        }
        0
    }

    fn call(&mut self, message: &Message) -> redis::Cmd {
        let hash = if self.shared.rules.no_dedupe() { self.another_hash() } else { message.hash };
        let trim = self.trims.is_due(&message.room, Instant::now()).then(|| self.shared.history_window());
        library::append(message, &names::dedupe(message.partition, &hash), trim, &self.shared.config)
    }

    fn another_hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&self.shared.edge.random().to_be_bytes());
        hash
    }

    /// What was appended, and what makes the connection useless. What a migrating slot refuses stays unresolved.
    fn sort_answers(
        &mut self,
        batch: &[Arc<Message>],
        spans: Vec<Span>,
        answers: &[Value],
    ) -> (Vec<Open>, Option<LinkError>) {
        let mut open = Vec::new();
        let mut serious = None;
        for ((message, span), answer) in batch.iter().zip(spans).zip(answers) {
            match (answer, replies::appended(answer)) {
                (_, Some(appended)) => {
                    if let Appended::New(at) | Appended::Known(at) = appended {
                        spans::appended(&span, at, matches!(appended, Appended::Known(_)));
                    }
                    open.push(Open { message: message.clone(), appended, span });
                }
                (Value::ServerError(error), None) => {
                    spans::failed(&span, error);
                    serious = serious.or(self.complain(message, error));
                }
                (_, None) => serious = Some(self.bound.link.nonsense("no offset to an append")),
            }
        }
        (open, serious)
    }

    fn complain(&self, message: &Message, error: &redis::ServerError) -> Option<LinkError> {
        match complaint(error) {
            Complaint::Moved => {
                self.shared.queue.hold(message.partition, Instant::now());
                self.shared.kick();
                None
            }
            Complaint::Ask { .. } | Complaint::TryAgain => {
                self.shared.queue.hold(message.partition, Instant::now());
                self.shared.probe.see(Event::Migrating { shard: self.bound.shard.index });
                None
            }
            // A new connection loads the functions again.
            Complaint::NoFunction | Complaint::Other => Some(self.bound.link.refuses(error)),
        }
    }

    /// Fences until it holds, then acks. A short WAIT is followed by another write and WAIT; nothing is appended again.
    async fn settle(
        &mut self,
        mut open: Vec<Open>,
        unresolved: &mut Vec<Arc<Message>>,
        fence: &[Value],
        asked: usize,
        began: Instant,
    ) -> Result<(), LinkError> {
        let batch = spans::batch(open.iter().map(|open| &open.span), &self.bound.origin, open.len());
        let fences: Vec<Span> = open.iter().map(|open| fence_span(open, &batch)).collect();
        // A refusal wrote nothing, so the WAIT behind it proves nothing: it takes a write of its own.
        let refusals = open.iter().any(|open| matches!(open.appended, Appended::RoomLimit | Appended::RoomFull));
        let mut fenced = if self.shared.config.fence == Fence::None {
            Fenced { asked: 0, answered: 0, held: true }
        } else if refusals {
            self.bound.insist(self.shared).await?
        } else {
            self.bound.judge(self.shared, asked, fence, began)?
        };
        while !fenced.held {
            let (asked, answered) = (fenced.asked, fenced.answered);
            self.shared.health.set(self.bound.shard.index, ShardState::Short { asked, answered });
            self.give_up_late(&mut open, unresolved);
            if open.is_empty() || !self.shared.stands(&self.bound.shard) {
                for span in &fences {
                    spans::fenced(span, asked, answered, false);
                }
                return if open.is_empty() { Ok(()) } else { Err(self.bound.link.superseded()) };
            }
            fenced = self.bound.insist(self.shared).await?;
        }
        for span in &fences {
            spans::fenced(span, fenced.asked, fenced.answered, true);
        }
        drop(fences);
        self.shared.health.set(self.bound.shard.index, ShardState::Acking);
        self.answer(&open, unresolved);
        self.ring(&open).await
    }

    fn give_up_late(&self, open: &mut Vec<Open>, unresolved: &mut Vec<Arc<Message>>) {
        let now = Instant::now();
        open.retain(|open| {
            let late = open.message.deadline <= now;
            if late {
                let messages = self.shared.queue.abandon(&open.message);
                unresolved.retain(|message| !Arc::ptr_eq(message, &open.message));
                self.shared.probe.see(Event::Unanswered { messages });
            }
            !late
        });
    }

    fn answer(&self, open: &[Open], unresolved: &mut Vec<Arc<Message>>) {
        for Open { message, appended, .. } in open {
            self.shared.queue.resolve(message, &outcome(message, *appended));
            self.shared.queue.settled(message.partition);
            if let Appended::New(_) | Appended::Known(_) = appended {
                let duplicate = matches!(appended, Appended::Known(_));
                let (shard, took) = (self.bound.shard.index, message.submitted.elapsed());
                self.shared.probe.see(Event::Acked { shard, duplicate, took });
            }
        }
        unresolved.retain(|message| !open.iter().any(|open| Arc::ptr_eq(&open.message, message)));
    }
}

fn fence_span(open: &Open, batch: &Span) -> Span {
    match open.appended {
        Appended::New(at) | Appended::Known(at) => spans::fence(open.message.traceparent, &open.message.id, at, batch),
        Appended::RoomLimit | Appended::RoomFull => Span::none(),
    }
}

fn outcome(message: &Message, appended: Appended) -> Outcome {
    let acked = |offset: Offset, duplicate| Outcome::Acked(Acked { id: message.id.clone(), offset, duplicate });
    match appended {
        Appended::New(at) => acked(at, false),
        Appended::Known(at) => acked(at, true),
        Appended::RoomLimit => Outcome::Refused(Refusal::new(Code::RoomLimit, "This node takes no more rooms")),
        Appended::RoomFull => {
            Outcome::Refused(Refusal::new(Code::RoomFull, "The room holds as many messages as it may"))
        }
    }
}
