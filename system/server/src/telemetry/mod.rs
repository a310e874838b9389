//! What the node says of itself: logs, spans, metrics. None of them can slow or stop it.

mod export;
mod instruments;
mod lag;
mod log;
mod logs;
mod metrics;
pub mod names;
pub(crate) mod trace;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

pub(crate) use export::SpanCounts;
pub(crate) use lag::measure_lag;
pub(crate) use metrics::{Metrics, Observed, RESUME_FRESH, RESUME_LOST, RESUME_RECOVERED, Reload, add};

use crate::config::Settings;

/// The target of every span and event of ours that belongs to a message's trace.
pub(crate) const TARGET: &str = "holdfast";

/// The process's logs and spans. Made once, before the node; flushed after it.
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    pub(crate) spans: Arc<SpanCounts>,
}

impl Telemetry {
    /// Takes over the process's logging. A second call in one process changes nothing.
    pub fn start(settings: &Settings) -> Telemetry {
        let spans = Arc::new(SpanCounts::default());
        let exporter = settings.traces.as_ref().map(|traces| export::provider(traces, &settings.node_id, &spans));
        let (provider, failure) = match exporter {
            Some(Ok(provider)) => (Some(provider), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        let traced = provider.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("chat-node"))
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_target(false)
                .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET))
        });
        let _ = subscriber(&settings.log, traced).try_init();
        if let Some(error) = failure {
            tracing::error!(%error, "spans cannot be exported");
        }
        Telemetry { provider, spans }
    }

    /// Exports what is finished, for as long as that may take at most.
    pub fn flush(self, within: Duration) {
        if let Some(provider) = self.provider {
            let _ = provider.shutdown_with_timeout(within);
        }
    }
}

/// A layer that may be there or not would be asked about every span, and none refused: they would be made for nobody.
fn subscriber<L>(log: &str, traced: Option<L>) -> Box<dyn Subscriber + Send + Sync>
where
    L: Layer<Layered<logs::Logs<Registry>, Registry>> + Send + Sync,
{
    let logged = tracing_subscriber::registry().with(logs::layer(log));
    match traced {
        Some(traced) => Box::new(logged.with(traced)),
        None => Box::new(logged),
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::Identity;

    use super::*;

    #[test]
    fn a_span_is_made_only_when_somebody_wants_it() {
        let span_of = |traced: Option<Identity>| {
            tracing::subscriber::with_default(
                subscriber("info", traced),
                || tracing::info_span!(target: TARGET, "span"),
            )
        };
        assert!(span_of(None).is_disabled());
        assert!(!span_of(Some(Identity::new())).is_disabled());
    }
}
