//! The node's counters, and their way to `/metrics`.
//!
//! What happens per message or delivery is an atomic that is read at the scrape; only latencies are recorded at once. What others know (delivery's state, the spans' fate) is asked at the scrape through [`Observed`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use system_protocol::Code;
use system_wire::deflate::{Deflate, Sent};

use super::SpanCounts;
use super::instruments::{by_delivery, counter, counters_of, gauges_of, latency};
use super::log::LogMetrics;
use super::names::{self, Metric};
use crate::backend::{Shard, Status};

/// Label values of [`names::SESSIONS`].
const SIZES: [&str; 4] = ["0", "1", "2-10", "11+"];

pub(crate) const RESUME_FRESH: usize = 0;
pub(crate) const RESUME_RECOVERED: usize = 1;
pub(crate) const RESUME_LOST: usize = 2;
const RESUMES: [&str; 3] = ["fresh", "recovered", "lost"];

/// What is read again when its file changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reload {
    Keys,
    Certificate,
}

impl Reload {
    const ALL: [Reload; 2] = [Reload::Keys, Reload::Certificate];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Reload::Keys => "keys",
            Reload::Certificate => "certificate",
        }
    }
}

/// Changes of one file.
#[derive(Default)]
struct Reloads {
    taken: AtomicU64,
    refused: AtomicU64,
    /// Whether the last one was.
    is_refused: AtomicBool,
}

/// What is asked of others at each scrape.
pub(crate) trait Observed: Send + Sync + 'static {
    fn ready(&self) -> bool;
    fn status(&self) -> Status;
}

/// Counts of one node. Cheap to touch from any thread.
pub(crate) struct Metrics {
    pub(crate) connections: AtomicI64,
    pub(crate) connections_total: AtomicU64,
    pub(crate) crowded: AtomicU64,
    pub(crate) unruly: AtomicU64,
    sessions: [AtomicI64; SIZES.len()],
    connects_refused: [AtomicU64; Code::ALL.len()],
    refused: [AtomicU64; Code::ALL.len()],
    pub(crate) accepted: AtomicU64,
    pub(crate) acked_first: AtomicU64,
    pub(crate) acked_duplicate: AtomicU64,
    pub(crate) indeterminate: AtomicU64,
    pub(crate) delivered_live: AtomicU64,
    pub(crate) delivered_replay: AtomicU64,
    pub(crate) resumes: [AtomicU64; RESUMES.len()],
    pub(crate) slow_consumers: AtomicU64,
    pub(crate) expired: AtomicU64,
    reloads: [Reloads; Reload::ALL.len()],
    buffer_peak: AtomicU64,
    lag_micros: AtomicU64,
    ack_seconds: Histogram<f64>,
    delivery_seconds: prometheus::Histogram,
    provider: SdkMeterProvider,
    registry: Registry,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_units()
            .without_counter_suffixes()
            .without_target_info()
            .scope_info_enabled(false);
        let exporter = exporter.build().expect("the registry is new");
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let meter = provider.meter("chat-node");
        Metrics {
            connections: AtomicI64::default(),
            connections_total: AtomicU64::default(),
            crowded: AtomicU64::default(),
            unruly: AtomicU64::default(),
            sessions: Default::default(),
            connects_refused: Default::default(),
            refused: Default::default(),
            accepted: AtomicU64::default(),
            acked_first: AtomicU64::default(),
            acked_duplicate: AtomicU64::default(),
            indeterminate: AtomicU64::default(),
            delivered_live: AtomicU64::default(),
            delivered_replay: AtomicU64::default(),
            resumes: Default::default(),
            slow_consumers: AtomicU64::default(),
            expired: AtomicU64::default(),
            reloads: Default::default(),
            buffer_peak: AtomicU64::default(),
            lag_micros: AtomicU64::default(),
            ack_seconds: latency(&meter, &names::ACK_SECONDS),
            delivery_seconds: by_delivery(&registry, &names::DELIVERY_SECONDS),
            provider,
            registry,
        }
    }

    /// The instruments of a log.
    pub(crate) fn of_log(&self) -> LogMetrics {
        LogMetrics::new(&self.provider.meter("chat-node"))
    }

    /// Prometheus's text format, version 0.0.4.
    pub(crate) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    pub(crate) fn refused(&self, code: Code) {
        count(&self.refused, code);
    }

    pub(crate) fn connect_refused(&self, code: Code) {
        count(&self.connects_refused, code);
    }

    /// A session is now in `rooms` rooms, was in `before`; `None` is no session at all.
    pub(crate) fn session(&self, before: Option<usize>, rooms: Option<usize>) {
        for (rooms, change) in [(before, -1), (rooms, 1)] {
            if let Some(rooms) = rooms {
                self.sessions[size(rooms)].fetch_add(change, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn acked(&self, after: Duration, duplicate: bool) {
        add(if duplicate { &self.acked_duplicate } else { &self.acked_first });
        self.ack_seconds.record(after.as_secs_f64(), &[]);
    }

    /// One message to so many members.
    pub(crate) fn delivered(&self, members: u64, after: Duration) {
        self.delivered_live.fetch_add(members, Ordering::Relaxed);
        let (all, after) = (self.delivery_seconds.local(), after.as_secs_f64());
        (0..members).for_each(|_| all.observe(after));
    }

    pub(crate) fn waiting(&self, bytes: usize) {
        let bytes = bytes as u64;
        // Mostly it is no peak, and looking is cheaper than trying.
        if bytes > self.buffer_peak.load(Ordering::Relaxed) {
            self.buffer_peak.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn reloaded(&self, what: Reload, taken: bool) {
        let reloads = &self.reloads[what as usize];
        add(if taken { &reloads.taken } else { &reloads.refused });
        reloads.is_refused.store(!taken, Ordering::Relaxed);
    }

    pub(super) fn lagged(&self, by: Duration) {
        self.lag_micros.fetch_max(by.as_micros() as u64, Ordering::Relaxed);
    }

    /// Registers everything that is read at the scrape.
    pub(crate) fn observe(
        self: &Arc<Self>,
        others: &Arc<impl Observed>,
        spans: &Arc<SpanCounts>,
        deflate: &Arc<Deflate>,
    ) {
        let meter = self.provider.meter("chat-node");
        self.observe_ourselves(&meter);
        self.observe_by_reason(&meter);
        self.observe_reloads(&meter);
        observe_others(&meter, others);
        observe_compression(&meter, deflate);
        let (exported, dropped) = (Arc::clone(spans), Arc::clone(spans));
        counter(&meter, &names::SPANS_EXPORTED, move || exported.exported.load(Ordering::Relaxed));
        counter(&meter, &names::SPANS_DROPPED, move || dropped.dropped.load(Ordering::Relaxed));
    }

    fn observe_ourselves(self: &Arc<Self>, meter: &Meter) {
        type Read = fn(&Metrics) -> u64;
        let counters: [(&Metric, Read); 7] = [
            (&names::CONNECTIONS_TOTAL, |m| m.connections_total.load(Ordering::Relaxed)),
            (&names::CONNECTIONS_CROWDED, |m| m.crowded.load(Ordering::Relaxed)),
            (&names::CONNECTIONS_UNRULY, |m| m.unruly.load(Ordering::Relaxed)),
            (&names::MESSAGES_ACCEPTED, |m| m.accepted.load(Ordering::Relaxed)),
            (&names::MESSAGES_INDETERMINATE, |m| m.indeterminate.load(Ordering::Relaxed)),
            (&names::SLOW_CONSUMERS, |m| m.slow_consumers.load(Ordering::Relaxed)),
            (&names::SESSIONS_EXPIRED, |m| m.expired.load(Ordering::Relaxed)),
        ];
        for (metric, read) in counters {
            let this = Arc::clone(self);
            counter(meter, metric, move || read(&this));
        }
        let gauges: [(&Metric, Level); 3] = [
            (&names::CONNECTIONS, |m| m.connections.load(Ordering::Relaxed) as f64),
            (&names::SEND_BUFFER_PEAK, |m| m.buffer_peak.swap(0, Ordering::Relaxed) as f64),
            (&names::RUNTIME_LAG, |m| m.lag_micros.swap(0, Ordering::Relaxed) as f64 / 1e6),
        ];
        for (metric, read) in gauges {
            let this = Arc::clone(self);
            gauges_of(meter, metric, move || vec![(read(&this), vec![])]);
        }
        let labels = vec![
            KeyValue::new("version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("profile", if cfg!(debug_assertions) { "debug" } else { "release" }),
        ];
        gauges_of(meter, &names::BUILD_INFO, move || vec![(1.0, labels.clone())]);
    }

    fn observe_by_reason(self: &Arc<Self>, meter: &Meter) {
        type Read = fn(&Metrics) -> Vec<(u64, &'static str)>;
        let tables: [(&Metric, &'static str, Read); 5] = [
            (&names::MESSAGES_REFUSED, "reason", |m| labelled(&m.refused, &Code::ALL.map(Code::as_str))),
            (&names::CONNECTS_REFUSED, "reason", |m| labelled(&m.connects_refused, &Code::ALL.map(Code::as_str))),
            (&names::RESUMES, "outcome", |m| labelled(&m.resumes, &RESUMES)),
            (&names::MESSAGES_ACKED, "copy", |m| {
                vec![(read(&m.acked_first), "first"), (read(&m.acked_duplicate), "duplicate")]
            }),
            (&names::MESSAGES_DELIVERED, "kind", |m| {
                vec![(read(&m.delivered_live), "live"), (read(&m.delivered_replay), "replay")]
            }),
        ];
        for (metric, label, rows) in tables {
            let this = Arc::clone(self);
            counters_of(meter, metric, label, move || rows(&this));
        }
        let this = Arc::clone(self);
        gauges_of(meter, &names::SESSIONS, move || {
            let rows = this.sessions.iter().zip(SIZES);
            rows.map(|(n, size)| (n.load(Ordering::Relaxed) as f64, vec![KeyValue::new("rooms", size)])).collect()
        });
    }
}

impl Metrics {
    fn observe_reloads(self: &Arc<Self>, meter: &Meter) {
        let this = Arc::clone(self);
        let builder = meter.u64_observable_counter(names::RELOADS.name).with_description(names::RELOADS.meaning);
        builder
            .with_callback(move |observer| {
                for (what, reloads) in Reload::ALL.iter().zip(&this.reloads) {
                    for (count, outcome) in [(&reloads.taken, "taken"), (&reloads.refused, "refused")] {
                        let labels = [KeyValue::new("file", what.as_str()), KeyValue::new("outcome", outcome)];
                        observer.observe(read(count), &labels);
                    }
                }
            })
            .build();
        let this = Arc::clone(self);
        gauges_of(meter, &names::RELOAD_REFUSED, move || {
            let rows = Reload::ALL.iter().zip(&this.reloads);
            let refused = |reloads: &Reloads| f64::from(u8::from(reloads.is_refused.load(Ordering::Relaxed)));
            rows.map(|(what, reloads)| (refused(reloads), vec![KeyValue::new("file", what.as_str())])).collect()
        });
    }
}

/// One level of this node.
type Level = fn(&Metrics) -> f64;
/// One number of a shard.
type ByShard = fn(&Shard) -> f64;

fn observe_others(meter: &Meter, others: &Arc<impl Observed>) {
    let of = Arc::clone(others);
    gauges_of(meter, &names::READY, move || vec![(f64::from(u8::from(of.ready())), vec![])]);
    let of = Arc::clone(others);
    gauges_of(meter, &names::APPENDS_PENDING, move || vec![(of.status().pending as f64, vec![])]);
    let by_shard: [(&Metric, ByShard); 2] = [
        (&names::SHARD_DEGRADED, |shard| f64::from(u8::from(shard.degraded.is_some()))),
        (&names::SHARD_EPOCH, |shard| shard.epoch as f64),
    ];
    for (metric, read) in by_shard {
        let of = Arc::clone(others);
        gauges_of(meter, metric, move || {
            let shards = of.status().shards.into_iter();
            shards
                .map(|shard| (read(&shard), vec![KeyValue::new("shard", shard.number.cast_signed() as i64)]))
                .collect()
        });
    }
}

fn observe_compression(meter: &Meter, deflate: &Arc<Deflate>) {
    let of = Arc::clone(deflate);
    counters_of(meter, &names::DEFLATE_FRAMES, "form", move || {
        let Sent { shared, alone, plain, .. } = of.numbers().sent;
        vec![(shared, "shared"), (alone, "alone"), (plain, "plain")]
    });
    let of = Arc::clone(deflate);
    counters_of(meter, &names::DEFLATE_BYTES, "as", move || {
        let Sent { bytes_plain, bytes_sent, .. } = of.numbers().sent;
        vec![(bytes_plain, "plain"), (bytes_sent, "sent")]
    });
    let of = Arc::clone(deflate);
    gauges_of(meter, &names::DEFLATE_STREAMS, move || vec![(of.numbers().streams as f64, vec![])]);
}

fn labelled(counts: &[AtomicU64], names: &[&'static str]) -> Vec<(u64, &'static str)> {
    counts.iter().map(read).zip(names.iter().copied()).collect()
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

pub(crate) fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn count(counts: &[AtomicU64; Code::ALL.len()], code: Code) {
    if let Some(n) = Code::ALL.iter().position(|known| *known == code) {
        add(&counts[n]);
    }
}

fn size(rooms: usize) -> usize {
    match rooms {
        0 => 0,
        1 => 1,
        2..=10 => 2,
        _ => 3,
    }
}
