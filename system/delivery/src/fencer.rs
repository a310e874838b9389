//! One per shard: reads that must be proven by a fence. Joins, first cursors, replay pages and the sweep share them:
//! read for all that wait, then one write and one WAIT.
//!
//! A short WAIT is no error: what was read stays read, and another write and WAIT on the same connection can prove it.
//! Only an error, a MOVED or the liveness deadline drops the connection; then everything is read again elsewhere.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::connection::{Complaint, LinkError, complaint};
use crate::edge::Edge;
use crate::fence::{Bound, FENCE_COMMANDS};
use crate::names::Partition;
use crate::shards::Shared;
use crate::topology::{Shard, ShardIndex};

/// So many questions share one fence.
const MOST: usize = 64;
const BREATH: Duration = Duration::from_millis(20);

/// A question, and where the answer goes once it is proven.
pub(crate) struct Request {
    pub(crate) partition: Partition,
    pub(crate) command: Cmd,
    /// The slot is still on its way here: ask nevertheless.
    pub(crate) asking: bool,
    pub(crate) answer: oneshot::Sender<Proven>,
}

pub(crate) enum Proven {
    Value(Value),
    /// Not this shard's (any more), or half of it is elsewhere.
    Elsewhere(Complaint),
}

pub(crate) async fn run<E: Edge>(
    shared: Arc<Shared<E>>,
    index: ShardIndex,
    mut requests: mpsc::UnboundedReceiver<Request>,
) {
    let mut waiting: Vec<Request> = Vec::new();
    loop {
        let shard = shared.primary(index).await;
        let error = match shared.reach(&shard, Bound::open(&shared, shard.clone())).await {
            Ok(bound) => Fencer { shared: &shared, bound }.work(&mut waiting, &mut requests).await,
            Err(error) => error,
        };
        tracing::debug!(target: "holdfast", shard = index, %error, "fenced reads lost their connection");
        shared.suspect(&shard);
        send_away_strangers(&shared, index, &mut waiting);
        tokio::time::sleep(BREATH).await;
    }
}

/// What waits here for a partition that lives elsewhere by now is asked again there.
fn send_away_strangers<E: Edge>(shared: &Shared<E>, index: ShardIndex, waiting: &mut Vec<Request>) {
    let topology = shared.now_topology();
    let stranger = |request: &mut Request| {
        request.answer.is_closed() || request.asking || topology.home.get(&request.partition) != Some(&index)
    };
    for request in waiting.extract_if(.., stranger) {
        let _ = request.answer.send(Proven::Elsewhere(Complaint::Moved));
    }
}

struct Fencer<'a, E: Edge> {
    shared: &'a Shared<E>,
    bound: Bound,
}

impl<E: Edge> Fencer<'_, E> {
    async fn work(mut self, waiting: &mut Vec<Request>, requests: &mut mpsc::UnboundedReceiver<Request>) -> LinkError {
        loop {
            if let Err(error) = self.turn(waiting, requests).await {
                return error;
            }
        }
    }

    async fn turn(
        &mut self,
        waiting: &mut Vec<Request>,
        requests: &mut mpsc::UnboundedReceiver<Request>,
    ) -> Result<(), LinkError> {
        let shard = self.current()?;
        self.bound.shard = shard;
        if waiting.is_empty() {
            match timeout(self.shared.config.idle(), requests.recv()).await {
                Ok(Some(request)) => waiting.push(request),
                Ok(None) => std::future::pending().await,
                Err(_) => return self.bound.link.ping().await,
            }
        }
        while waiting.len() < MOST
            && let Ok(request) = requests.try_recv()
        {
            waiting.push(request);
        }
        send_away_strangers_but_asking(self.shared, self.bound.shard.index, waiting);
        if waiting.is_empty() { Ok(()) } else { self.prove(waiting).await }
    }

    fn current(&self) -> Result<Shard, LinkError> {
        let usable = self.shared.usable(self.bound.shard.index).filter(|_| self.shared.stands(&self.bound.shard));
        usable.ok_or_else(|| self.bound.link.superseded())
    }

    async fn prove(&mut self, waiting: &mut Vec<Request>) -> Result<(), LinkError> {
        let began = Instant::now();
        let mut pipeline = redis::pipe();
        let mut places = Vec::new();
        for request in waiting.iter() {
            if request.asking {
                pipeline.cmd("ASKING");
            }
            places.push(pipeline.len());
            pipeline.add_command(request.command.clone());
        }
        let write = pipeline.len();
        self.bound.add_write(self.shared, &mut pipeline)?;
        let asked = self.bound.add_fence(self.shared, &mut pipeline);
        let mut answers = self.bound.link.ask(&pipeline).await?;
        let wrote = self.bound.wrote(self.shared, answers.get(write))?;
        let fence = &answers[write + 1..];
        debug_assert_eq!(fence.len(), FENCE_COMMANDS);
        let mut fenced = self.bound.judge(self.shared, asked, fence, began)?;
        fenced.held &= wrote;
        while !fenced.held && !self.shared.rules.believe_stale() {
            self.current()?;
            fenced = self.bound.insist(self.shared).await?;
        }
        let answers: Vec<Value> = places.iter().map(|at| std::mem::replace(&mut answers[*at], Value::Nil)).collect();
        self.hand_out(waiting, answers)
    }

    fn hand_out(&self, waiting: &mut Vec<Request>, answers: Vec<Value>) -> Result<(), LinkError> {
        let mut serious = None;
        let mut again = Vec::new();
        for (request, answer) in waiting.drain(..).zip(answers) {
            let proven = match &answer {
                Value::ServerError(error) => match complaint(error) {
                    Complaint::NoFunction | Complaint::Other => {
                        serious = Some(self.bound.link.refuses(error));
                        again.push(request);
                        continue;
                    }
                    elsewhere => Proven::Elsewhere(elsewhere),
                },
                _ => Proven::Value(answer),
            };
            let _ = request.answer.send(proven);
        }
        *waiting = again;
        serious.map_or(Ok(()), Err)
    }
}

/// While the connection stands, a question with ASKING is at home here.
fn send_away_strangers_but_asking<E: Edge>(shared: &Shared<E>, index: ShardIndex, waiting: &mut Vec<Request>) {
    let (asking, mut own): (Vec<Request>, Vec<Request>) = waiting.drain(..).partition(|request| request.asking);
    send_away_strangers(shared, index, &mut own);
    waiting.extend(own);
    waiting.extend(asking);
}
