//! What the log tells about itself while it works, as metrics.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};
use system_delivery::{Event, Probe};

use super::instruments::{counted, gauge, latency};
use super::names;

/// One instrument each; a shard is the only label.
pub(crate) struct LogMetrics {
    append_seconds: Histogram<f64>,
    fence_seconds: Histogram<f64>,
    replicas_asked: Gauge<u64>,
    replicas_answered: Gauge<u64>,
    fences_short: Counter<u64>,
    disconnects: Counter<u64>,
    unproven: Counter<u64>,
    migrating: Counter<u64>,
    tail_lag: Gauge<f64>,
    read: Counter<u64>,
    swept_behind: Counter<u64>,
    history_lost: Counter<u64>,
}

impl LogMetrics {
    pub(super) fn new(meter: &Meter) -> Self {
        let history_lost = counted(meter, &names::HISTORY_LOST);
        // Without a label it should be there from the start, at zero.
        history_lost.add(0, &[]);
        LogMetrics {
            append_seconds: latency(meter, &names::APPEND_SECONDS),
            fence_seconds: latency(meter, &names::FENCE_SECONDS),
            replicas_asked: gauge(meter, &names::REPLICAS_ASKED),
            replicas_answered: gauge(meter, &names::REPLICAS_ANSWERED),
            fences_short: counted(meter, &names::FENCES_SHORT),
            disconnects: counted(meter, &names::LOG_DISCONNECTS),
            unproven: counted(meter, &names::READS_UNPROVEN),
            migrating: counted(meter, &names::SLOTS_MIGRATING),
            tail_lag: meter.f64_gauge(names::TAIL_LAG.name).with_description(names::TAIL_LAG.meaning).build(),
            read: counted(meter, &names::ENTRIES_READ),
            swept_behind: counted(meter, &names::SWEPT_BEHIND),
            history_lost,
        }
    }
}

fn of(shard: usize) -> [KeyValue; 1] {
    [KeyValue::new("shard", shard.cast_signed() as i64)]
}

impl Probe for LogMetrics {
    fn see(&self, event: Event) {
        match event {
            Event::Appended { shard, took, .. } => self.append_seconds.record(took.as_secs_f64(), &of(shard)),
            Event::Fenced { shard, asked, answered, held, took } => {
                self.fence_seconds.record(took.as_secs_f64(), &of(shard));
                self.replicas_asked.record(asked as u64, &of(shard));
                self.replicas_answered.record(answered as u64, &of(shard));
                self.fences_short.add(u64::from(!held), &of(shard));
            }
            Event::Migrating { shard } => self.migrating.add(1, &of(shard)),
            Event::Disconnected { shard } => self.disconnects.add(1, &of(shard)),
            Event::Read { shard, entries, behind } => {
                self.read.add(entries as u64, &of(shard));
                self.tail_lag.record(behind.as_secs_f64(), &of(shard));
            }
            Event::Unproven { shard } => self.unproven.add(1, &of(shard)),
            Event::Swept { shard, behind, .. } => self.swept_behind.add(behind as u64, &of(shard)),
            Event::HistoryLost { sessions } => self.history_lost.add(sessions as u64, &[]),
            // Counted where the socket is: acks that were sent, messages that were queued, joins that were answered.
            _ => {}
        }
    }
}
