//! Spans of the run: those that nodes export to us and those of the harness itself, in `spans.jsonl` and by message.
//!
//! A message's spans are the trace that its `traceparent` began, and the spans that link to it: a fence is shared by a
//! batch and a read brings many messages, so both are linked rather than parents (observability.md).

mod hop;
mod otlp;
mod span;
mod store;
mod tree;

pub use hop::{Hop, Killed, LastHop, Towards};
pub use otlp::{Received, Receiver};
pub use span::{Link, Span, SpanEvent, SpanId, TraceId, Value};
pub use store::{SpanStore, SpansError};
