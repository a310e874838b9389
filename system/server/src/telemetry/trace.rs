//! A message's trace on this node: it comes in as a `traceparent`, and leaves as that of our own span.
//!
//! `parentbased`: whoever began the trace decided whether it is kept; a message that came without one begins its own,
//! one in a hundred by default. With the exporter off there are no spans, and the sender's own `traceparent` travels
//! on as it came.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use system_protocol::TraceParent;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Makes `span` a child of what the sender began.
pub(crate) fn continue_from(span: &Span, parent: Option<TraceParent>) {
    if span.is_disabled() {
        return;
    }
    let context = match parent {
        None => Context::new(),
        Some(parent) => Context::new().with_remote_span_context(remote(parent)),
    };
    let _ = span.set_parent(context);
}

/// What the stored entry, and with it every reader, continues.
pub(crate) fn traceparent_of(span: &Span, otherwise: Option<TraceParent>) -> Option<TraceParent> {
    if span.is_disabled() {
        return otherwise;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    let trace_id = u128::from_be_bytes(context.trace_id().to_bytes());
    TraceParent::new(trace_id, u64::from_be_bytes(context.span_id().to_bytes()), context.is_sampled()).or(otherwise)
}

fn remote(parent: TraceParent) -> SpanContext {
    let flags = if parent.sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span) = (TraceId::from(parent.trace_id()), SpanId::from(parent.span_id()));
    SpanContext::new(trace, span, flags, true, TraceState::NONE)
}
