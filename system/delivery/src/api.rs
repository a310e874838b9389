//! What a chat node asks of a log, durable or in memory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use system_protocol::{MessageId, Offset, Refusal, Room, Sent, TraceParent, UserId};
use tokio::sync::oneshot;

use crate::health::Status;
use crate::outbox::Outbox;
use crate::session::Session;

/// A message that was accepted: valid, within limits, its sender a member of the room.
#[derive(Debug, Clone)]
pub struct Submission {
    pub room: Room,
    pub sender: UserId,
    pub id: MessageId,
    pub content: String,
    pub traceparent: Option<TraceParent>,
}

/// The promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acked {
    pub id: MessageId,
    pub offset: Offset,
    /// It was stored by an earlier attempt.
    pub duplicate: bool,
}

impl Acked {
    pub fn sent(&self) -> Sent {
        Sent { id: self.id.clone(), offset: Some(self.offset), timestamp: self.offset.ms() }
    }
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Acked(Acked),
    /// Nothing of this attempt was stored.
    Refused(Refusal),
    /// Stored or not: there must be no answer, and the client sends it again with the same id.
    Unanswered,
}

/// A future of the [`Outcome`].
#[derive(Debug)]
pub struct Receipt(pub(crate) oneshot::Receiver<Outcome>);

impl Receipt {
    pub(crate) fn refused(refusal: Refusal) -> Self {
        let (answer, receipt) = oneshot::channel();
        let _ = answer.send(Outcome::Refused(refusal));
        Receipt(receipt)
    }
}

impl Future for Receipt {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Outcome::Unanswered))
    }
}

/// The log of this node. Dropping it is the crash: every task of it ends.
pub trait Delivery: Send + Sync + 'static {
    /// Queued in the order of the calls. The same id again, while it is unresolved, joins the waiting one.
    fn submit(&self, submission: Submission) -> Receipt;

    /// A session without rooms; dropping it leaves them all.
    fn session(&self, outbox: Arc<dyn Outbox>) -> Session;

    fn status(&self) -> Status;

    /// From now on submissions are refused; what is queued is still acked.
    fn drain(&self);

    /// Resolves when nothing waits for an ack any more.
    fn drained(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}
