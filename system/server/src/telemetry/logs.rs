//! Log lines on stderr: JSON when nobody is watching, text on a terminal.
//!
//! Never a token, a secret or a message's content: our own events have none, and the libraries that print what passes
//! through them are silenced whatever the directives say.

use std::io::IsTerminal;

use tracing::Metadata;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt};

/// Libraries that would print tokens and contents at their most talkative.
const TELLTALES: [&str; 5] = ["socketioxide", "engineioxide", "tungstenite", "tokio_tungstenite", "hyper"];

pub(super) type Logs<S> = Box<dyn Layer<S> + Send + Sync>;

pub(super) fn layer<S>(directives: &str) -> Logs<S>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    // The directives were checked with the settings.
    let chosen = EnvFilter::builder().parse_lossy(directives).and(filter_fn(may_be_logged));
    let layer = fmt::layer().with_writer(std::io::stderr).with_span_events(FmtSpan::NONE);
    if std::io::stderr().is_terminal() {
        return layer.with_filter(chosen).boxed();
    }
    layer.json().flatten_event(true).with_current_span(false).with_span_list(false).with_filter(chosen).boxed()
}

/// Spans are for traces: as long as no exporter wants them, they cost nothing.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && !TELLTALES.iter().any(|library| metadata.target().starts_with(library))
}
