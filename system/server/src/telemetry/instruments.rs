//! One function for each kind of metric: what is recorded as it happens, and what is read at the scrape.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};
use prometheus::{HistogramOpts, Registry};

use super::names::Metric;

/// Bounds of latencies, seconds: from half a millisecond to a failover and beyond.
const LATENCIES: [f64; 16] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0];

pub(super) fn gauge(meter: &Meter, metric: &Metric) -> Gauge<u64> {
    meter.u64_gauge(metric.name).with_description(metric.meaning).build()
}

pub(super) fn counted(meter: &Meter, metric: &Metric) -> Counter<u64> {
    meter.u64_counter(metric.name).with_description(metric.meaning).build()
}

pub(super) fn latency(meter: &Meter, metric: &Metric) -> Histogram<f64> {
    let builder = meter.f64_histogram(metric.name).with_description(metric.meaning).with_unit("s");
    builder.with_boundaries(LATENCIES.to_vec()).build()
}

/// One that is recorded for each delivery: the SDK's takes a lock each time, this one counts a whole room at once.
pub(super) fn by_delivery(registry: &Registry, metric: &Metric) -> prometheus::Histogram {
    let options = HistogramOpts::new(metric.name, metric.meaning).buckets(LATENCIES.to_vec());
    let histogram = prometheus::Histogram::with_opts(options).expect("the bounds rise");
    registry.register(Box::new(histogram.clone())).expect("its name is its own");
    histogram
}

pub(super) fn counter(meter: &Meter, metric: &Metric, value: impl Fn() -> u64 + Send + Sync + 'static) {
    let builder = meter.u64_observable_counter(metric.name).with_description(metric.meaning);
    builder.with_callback(move |observer| observer.observe(value(), &[])).build();
}

pub(super) fn counters_of(
    meter: &Meter,
    metric: &Metric,
    label: &'static str,
    rows: impl Fn() -> Vec<(u64, &'static str)> + Send + Sync + 'static,
) {
    let builder = meter.u64_observable_counter(metric.name).with_description(metric.meaning);
    let observe = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<u64>| {
        for (value, name) in rows() {
            observer.observe(value, &[KeyValue::new(label, name)]);
        }
    };
    builder.with_callback(observe).build();
}

/// Values with their labels.
type Rows = Vec<(f64, Vec<KeyValue>)>;

pub(super) fn gauges_of(meter: &Meter, metric: &Metric, rows: impl Fn() -> Rows + Send + Sync + 'static) {
    let builder = meter.f64_observable_gauge(metric.name).with_description(metric.meaning);
    let observe = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
        for (value, labels) in rows() {
            observer.observe(value, &labels);
        }
    };
    builder.with_callback(observe).build();
}
