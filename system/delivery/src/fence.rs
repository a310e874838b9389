//! A connection to a shard's primary on which one can write and wait until the write is safe.

use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::time::Instant;

use crate::config::Fence;
use crate::connection::{Complaint, Link, LinkError, complaint};
use crate::edge::Edge;
use crate::eligible;
use crate::library;
use crate::probe::Event;
use crate::replies;
use crate::shards::Shared;
use crate::spans::Origin;
use crate::topology::Shard;
use crate::view::Replication;

/// What one WAIT came to. Held: everybody who could be elected has everything written on this connection so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fenced {
    pub(crate) asked: usize,
    pub(crate) answered: usize,
    pub(crate) held: bool,
}

const BREATH: Duration = Duration::from_millis(20);

/// How many commands a fence adds to a pipeline.
pub(crate) const FENCE_COMMANDS: usize = 2;

pub(crate) struct Bound {
    pub(crate) link: Link,
    pub(crate) shard: Shard,
    pub(crate) origin: Origin,
    /// Whom the primary called online when it was last asked.
    online: Vec<(String, u16)>,
    /// Which of the shard's partitions is written to: any will do that is not on its way elsewhere.
    write_at: usize,
}

impl Bound {
    /// Connects, sees to the functions, and learns who is attached.
    pub(crate) async fn open<E: Edge>(shared: &Shared<E>, shard: Shard) -> Result<Bound, LinkError> {
        let mut link = Link::open(&shared.edge, &shared.config, &shard.address).await?;
        library::load(&mut link).await?;
        let mut info = redis::pipe();
        info.cmd("INFO").arg("replication");
        let answers = link.ask(&info).await?;
        let origin = origin(&shard);
        let mut bound = Bound { link, shard, origin, online: Vec::new(), write_at: 0 };
        bound.learn(answers.first())?;
        Ok(bound)
    }

    /// Asks anew who is attached, and says so.
    pub(crate) async fn look<E: Edge>(&mut self, shared: &Shared<E>) -> Result<(), LinkError> {
        let mut info = redis::pipe();
        info.cmd("INFO").arg("replication");
        let answers = self.link.ask(&info).await?;
        self.learn(answers.first())?;
        self.tell(shared);
        Ok(())
    }

    /// WAIT can count no more replicas than are attached.
    pub(crate) fn tell<E: Edge>(&self, shared: &Shared<E>) {
        let asked = if shared.config.fence == Fence::Full { self.k(shared) } else { 0 };
        shared.health.connected(self.shard.index, asked, self.online.len());
    }

    fn learn(&mut self, info: Option<&Value>) -> Result<(), LinkError> {
        let info = match info {
            Some(Value::ServerError(error)) => return Err(self.link.refuses(error)),
            other => other.and_then(replies::text).ok_or_else(|| self.link.nonsense("no text to INFO"))?,
        };
        let replication = Replication::read(info);
        if !replication.is_primary {
            return Err(self.link.superseded());
        }
        self.online = replication.online;
        Ok(())
    }

    fn k<E: Edge>(&self, shared: &Shared<E>) -> usize {
        let topology = shared.topology.borrow();
        let fresh = shared.config.liveness;
        eligible::k(&topology, &self.shard.primary, &self.online, Instant::now(), fresh, &shared.rules)
    }

    /// Puts the fence behind what the pipeline writes. The answer is the k that was asked for.
    pub(crate) fn add_fence<E: Edge>(&self, shared: &Shared<E>, pipeline: &mut Pipeline) -> usize {
        let k = self.k(shared);
        pipeline.cmd("WAIT").arg(k).arg(shared.config.wait.as_millis() as u64);
        pipeline.cmd("INFO").arg("replication");
        k
    }

    /// Reads the two answers of a fence. If k has grown meanwhile, the fence did not hold.
    pub(crate) fn judge<E: Edge>(
        &mut self,
        shared: &Shared<E>,
        asked: usize,
        answers: &[Value],
        began: Instant,
    ) -> Result<Fenced, LinkError> {
        let answered = match answers.first() {
            Some(Value::Int(answered)) => usize::try_from(*answered).unwrap_or(0),
            Some(Value::ServerError(error)) => return Err(self.link.refuses(error)),
            _ => return Err(self.link.nonsense("no number to WAIT")),
        };
        self.learn(answers.get(1))?;
        let asked = if shared.rules.k_as_asked() { asked } else { asked.max(self.k(shared)) };
        let fenced = Fenced { asked, answered, held: answered >= asked };
        if !fenced.held {
            shared.kick();
        }
        let (shard, took) = (self.shard.index, began.elapsed());
        shared.probe.see(Event::Fenced { shard, asked, answered, held: fenced.held, took });
        Ok(fenced)
    }

    /// One more real write and WAIT, on the same connection: what was written before is covered too.
    pub(crate) async fn insist<E: Edge>(&mut self, shared: &Shared<E>) -> Result<Fenced, LinkError> {
        let began = Instant::now();
        let mut pipeline = redis::pipe();
        self.add_write(shared, &mut pipeline)?;
        let asked = self.add_fence(shared, &mut pipeline);
        let answers = self.link.ask(&pipeline).await?;
        let wrote = self.wrote(shared, answers.first())?;
        let fenced = self.judge(shared, asked, &answers[1..], began)?;
        if !wrote {
            tokio::time::sleep(BREATH).await;
        }
        Ok(Fenced { held: fenced.held && wrote, ..fenced })
    }

    pub(crate) fn add_write<E: Edge>(&self, shared: &Shared<E>, pipeline: &mut Pipeline) -> Result<(), LinkError> {
        if shared.rules.unwritten_fence() {
            pipeline.cmd("PING");
            return Ok(());
        }
        let partitions = &self.shard.partitions;
        let partition = partitions.get(self.write_at % partitions.len().max(1));
        pipeline.add_command(library::fence_write(*partition.ok_or_else(|| self.link.superseded())?));
        Ok(())
    }

    /// Without the write there is nothing to wait for, whatever WAIT answers. A slot that is on its way elsewhere does
    /// not take it; the next one may.
    pub(crate) fn wrote<E: Edge>(&mut self, shared: &Shared<E>, answer: Option<&Value>) -> Result<bool, LinkError> {
        let Some(Value::ServerError(error)) = answer else {
            return if matches!(answer, Some(Value::Okay)) || shared.rules.unwritten_fence() {
                Ok(true)
            } else {
                Err(self.link.nonsense("no OK to SET"))
            };
        };
        match complaint(error) {
            Complaint::Moved => Err(self.link.superseded()),
            Complaint::Ask { .. } | Complaint::TryAgain => {
                self.write_at = self.write_at.wrapping_add(1);
                Ok(false)
            }
            Complaint::NoFunction | Complaint::Other => Err(self.link.refuses(error)),
        }
    }
}

pub(crate) fn origin(shard: &Shard) -> Origin {
    Origin { shard: shard.index, primary: shard.address.to_string(), epoch: shard.epoch }
}
