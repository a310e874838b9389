//! The log's spans. Each belongs to the trace of its message, by the `traceparent` that came with it; what a batch
//! shares is a link. Without a sampled `traceparent` there is no span and no cost.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use system_protocol::{MessageId, Offset, Room, TraceParent};
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::entry::Entry;

/// Which server was read from or written to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    pub(crate) shard: usize,
    pub(crate) primary: String,
    pub(crate) epoch: u64,
}

fn remote(trace: TraceParent) -> SpanContext {
    SpanContext::new(
        TraceId::from(trace.trace_id()),
        SpanId::from(trace.span_id()),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    )
}

fn under(span: Span, trace: TraceParent) -> Span {
    // Without an OpenTelemetry layer there is no parent to set, and the span is none's loss.
    let _ = span.set_parent(Context::new().with_remote_span_context(remote(trace)));
    span
}

/// Only for sampled traces, and only when somebody listens.
fn wanted(trace: Option<TraceParent>) -> Option<TraceParent> {
    trace.filter(|trace| trace.sampled())
}

/// One attempt to append one message.
pub(crate) fn append(trace: Option<TraceParent>, id: &MessageId, room: &Room, origin: &Origin) -> Span {
    let Some(trace) = wanted(trace) else { return Span::none() };
    let span = tracing::info_span!(
        target: "holdfast", parent: None, "log.append",
        message.id = %id, room = %room, shard = origin.shard, primary = %origin.primary, epoch = origin.epoch,
        offset = field::Empty, duplicate = field::Empty, error = field::Empty,
    );
    under(span, trace)
}

pub(crate) fn appended(span: &Span, offset: Offset, duplicate: bool) {
    if !span.is_none() {
        span.record("offset", field::display(offset)).record("duplicate", duplicate);
    }
}

pub(crate) fn failed(span: &Span, why: &dyn std::fmt::Display) {
    if !span.is_none() {
        span.record("error", field::display(why));
    }
}

/// The fence over one batch: a span of its own, linked to the messages that it covers.
pub(crate) fn batch<'a>(traces: impl Iterator<Item = &'a Span>, origin: &Origin, messages: usize) -> Span {
    let mut traces = traces.filter(|span| !span.is_none()).peekable();
    if traces.peek().is_none() {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: "holdfast", parent: None, "log.batch",
        messages, shard = origin.shard, primary = %origin.primary, epoch = origin.epoch,
    );
    for append in traces {
        span.add_link(append.context().span().span_context().clone());
    }
    span
}

/// The fence as one message sees it.
pub(crate) fn fence(trace: Option<TraceParent>, id: &MessageId, offset: Offset, batch: &Span) -> Span {
    let Some(trace) = wanted(trace) else { return Span::none() };
    let span = tracing::info_span!(
        target: "holdfast", parent: None, "log.fence",
        message.id = %id, offset = %offset, replicas.asked = field::Empty, replicas.answered = field::Empty,
        held = field::Empty,
    );
    let span = under(span, trace);
    span.add_link(batch.context().span().span_context().clone());
    span
}

pub(crate) fn fenced(span: &Span, asked: usize, answered: usize, held: bool) {
    if !span.is_none() {
        span.record("replicas.asked", asked).record("replicas.answered", answered).record("held", held);
    }
}

/// The bell rang for this message, and so many connections to the primary heard it. Without it only a sweep finds the
/// message: this tells what was lost in the log from what was passed over by those who listen.
pub(crate) fn rung(trace: Option<TraceParent>, id: &MessageId, offset: Offset, listeners: i64) {
    let Some(trace) = wanted(trace) else { return };
    let span = tracing::info_span!(
        target: "holdfast", parent: None, "log.bell", message.id = %id, offset = %offset, listeners,
    );
    drop(under(span, trace));
}

pub(crate) fn read(entry: &Entry, origin: &Origin) -> Span {
    let Some(trace) = wanted(entry.traceparent) else { return Span::none() };
    let span = tracing::info_span!(
        target: "holdfast", parent: None, "log.read",
        message.id = %entry.id, room = %entry.room, offset = %entry.offset,
        shard = origin.shard, primary = %origin.primary, epoch = origin.epoch,
    );
    under(span, trace)
}

pub(crate) fn fanout(entry: &Entry, read: &Span) -> Span {
    if read.is_none() {
        return Span::none();
    }
    tracing::info_span!(
        target: "holdfast", parent: read, "chat.fanout",
        message.id = %entry.id, room = %entry.room, offset = %entry.offset,
        members = field::Empty, failed = field::Empty,
    )
}

pub(crate) fn fanned_out(span: &Span, members: usize, failed: usize) {
    if span.is_none() {
        return;
    }
    span.record("members", members).record("failed", failed);
    if failed > 0 {
        span.add_event(
            "members failed",
            vec![opentelemetry::KeyValue::new("failed", i64::try_from(failed).unwrap_or(i64::MAX))],
        );
    }
}
