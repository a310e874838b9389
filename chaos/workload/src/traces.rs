//! The two ends of a message's trace, which only its users see: `chat.send`, one span per attempt, and `chat.receive`,
//! one per member. They go straight into the span store; what is between comes from the nodes.

use chaos_observe::{
    At, Clock, Content, Span, SpanStore,
    spans::{Link, SpanId, TraceId},
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use system_protocol::{ChatMessage, Code, MessageId, Offset, TraceParent};

use crate::Sampling;

/// The service that the spans belong to.
const SERVICE: &str = "user";

pub(crate) struct Traces {
    spans: SpanStore,
    clock: Clock,
    sampling: Sampling,
}

/// One attempt that is on the wire.
pub(crate) struct Attempt {
    /// The first attempt's span, which later attempts link to.
    pub(crate) root: TraceParent,
    /// When the message was due.
    pub(crate) due: At,
    pub(crate) number: u32,
    pub(crate) trace: TraceParent,
    pub(crate) began: At,
}

/// How an attempt ended.
pub(crate) enum Outcome {
    Acked(Option<Offset>),
    Refused(Code),
    Indeterminate(&'static str),
}

/// Whom something happened to, in which room, on which node.
pub(crate) struct Who<'w> {
    pub(crate) user: &'w str,
    pub(crate) room: &'w str,
    pub(crate) node: &'w str,
}

impl Traces {
    pub(crate) fn new(clock: Clock, spans: SpanStore, sampling: Sampling) -> Traces {
        Traces { spans, clock, sampling }
    }

    /// The root of a message's trace: the span of its first attempt.
    pub(crate) fn root(&self, rng: &mut ChaCha8Rng, message: &MessageId) -> TraceParent {
        let (trace, span) = (rng.random_range(1..=u128::MAX), rng.random_range(1..=u64::MAX));
        let sampled = self.sampling.sends(message.as_str());
        TraceParent::new(trace, span, sampled).unwrap_or_else(|| unreachable!("neither id is zero"))
    }

    pub(crate) fn sent(&self, of: &Who<'_>, message: &MessageId, attempt: &Attempt, at: At, outcome: &Outcome) {
        if !attempt.trace.sampled() {
            return;
        }
        let mut span = Traces::span("chat.send", of, message, attempt.trace.trace_id(), attempt.trace.span_id())
            .with("attempt", attempt.number)
            .with("intended_unix_ns", self.clock.unix_ns(attempt.due))
            .with("outcome", outcome.name());
        (span.start_ns, span.end_ns) = (self.clock.unix_ns(attempt.began), self.clock.unix_ns(at));
        if attempt.number > 1 {
            span.links.push(link(attempt.root));
        }
        match outcome {
            Outcome::Acked(Some(offset)) => span = span.with("offset", offset.to_string()),
            Outcome::Acked(None) => {}
            Outcome::Refused(code) => span.error = Some(code.as_str().to_owned()),
            Outcome::Indeterminate(why) => span.error = Some((*why).to_owned()),
        }
        self.spans.record(span);
    }

    pub(crate) fn received(&self, of: &Who<'_>, message: &ChatMessage, at: At, replay: bool, hidden: bool) {
        let Some(parent) = message.traceparent.filter(|_| self.sampling.receives(message.id.as_str())) else { return };
        // Different for every receipt, and the same whenever the same thing is received at the same time.
        let id = Content::of(&format!("{} {} {}", of.user, message.id, at.0)).0.max(1);
        let mut span = Traces::span("chat.receive", of, &message.id, parent.trace_id(), id)
            .with("replay", replay)
            .with("hidden", hidden);
        span.parent = Some(SpanId(parent.span_id()));
        (span.start_ns, span.end_ns) = (self.clock.unix_ns(at), self.clock.unix_ns(at));
        if let Some(offset) = message.offset {
            span = span.with("offset", offset.to_string());
        }
        self.spans.record(span);
    }

    fn span(name: &str, of: &Who<'_>, message: &MessageId, trace: u128, id: u64) -> Span {
        let span = Span { trace: TraceId(trace), id: SpanId(id), name: name.to_owned(), ..Span::default() };
        Span { service: SERVICE.to_owned(), ..span }
            .with("message.id", message.as_str())
            .with("room", of.room)
            .with("user", of.user)
            .with("node", of.node)
    }
}

impl Outcome {
    fn name(&self) -> &'static str {
        match self {
            Outcome::Acked(_) => "acked",
            Outcome::Refused(_) => "refused",
            Outcome::Indeterminate(_) => "indeterminate",
        }
    }
}

fn link(to: TraceParent) -> Link {
    Link { trace: TraceId(to.trace_id()), span: SpanId(to.span_id()) }
}
