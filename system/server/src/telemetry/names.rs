//! Every metric that a node has: name, unit, labels and meaning, in one place.
//!
//! Dashboards and alerts are written against this list. Label sets are bounded: never a user, a room or a message id.

/// One metric, as Prometheus shows it.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: &'static str,
    pub labels: &'static [&'static str],
    pub meaning: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
}

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:ident, $unit:literal, [$($label:literal),*], $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: Metric = Metric {
                name: $name, kind: Kind::$kind, unit: $unit, labels: &[$($label),*], meaning: $meaning,
            };
        )*
        /// The whole list, in the order of this file.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    BUILD_INFO = "chat_build_info", Gauge, "1", ["version", "profile"],
        "Always 1; the labels say what runs";
    READY = "chat_ready", Gauge, "1", [],
        "1 while /ready answers 200";
    CONNECTIONS = "chat_connections", Gauge, "connections", [],
        "Open WebSocket connections";
    CONNECTIONS_TOTAL = "chat_connections_total", Counter, "connections", [],
        "WebSocket connections accepted";
    CONNECTIONS_CROWDED = "chat_connections_crowded_total", Counter, "connections", [],
        "Connections refused because their address has as many as it may";
    CONNECTIONS_UNRULY = "chat_connections_unruly_total", Counter, "connections", [],
        "Connections closed because too much in a row was refused on them";
    CONNECTS_REFUSED = "chat_connects_refused_total", Counter, "connects", ["reason"],
        "Sessions refused at CONNECT, by code";
    SESSIONS = "chat_sessions", Gauge, "sessions", ["rooms"],
        "Sessions by how many rooms they are in: 0, 1, 2-10, 11+";
    MESSAGES_ACCEPTED = "chat_messages_accepted_total", Counter, "messages", [],
        "Messages that passed validation and limits and were handed to delivery";
    MESSAGES_REFUSED = "chat_messages_refused_total", Counter, "messages", ["reason"],
        "Requests of clients that were refused, by code";
    MESSAGES_ACKED = "chat_messages_acked_total", Counter, "messages", ["copy"],
        "Acks sent: copy is first, or duplicate for a repeat of an id that was already stored";
    MESSAGES_INDETERMINATE = "chat_messages_indeterminate_total", Counter, "messages", [],
        "Messages that were accepted and never answered; their senders retry";
    MESSAGES_DELIVERED = "chat_messages_delivered_total", Counter, "messages", ["kind"],
        "Messages queued to members: kind is live or replay";
    ACK_SECONDS = "chat_ack_seconds", Histogram, "seconds", [],
        "From a message's arrival at this node to its ack";
    DELIVERY_SECONDS = "chat_delivery_seconds", Histogram, "seconds", [],
        "From a message's timestamp (the log's clock) to its being queued to a member here, live only";
    APPENDS_PENDING = "chat_appends_pending", Gauge, "messages", [],
        "Messages handed to delivery and not yet answered";
    RESUMES = "chat_resumes_total", Counter, "joins", ["outcome"],
        "Joins: outcome is fresh (no offset), recovered or lost (recovered: false)";
    SLOW_CONSUMERS = "chat_slow_consumers_total", Counter, "sessions", [],
        "Sessions closed because their client took too little; it resumes";
    SESSIONS_EXPIRED = "chat_sessions_expired_total", Counter, "sessions", [],
        "Sessions ended because their token had expired";
    SEND_BUFFER_PEAK = "chat_send_buffer_peak_bytes", Gauge, "bytes", [],
        "Most bytes that waited for one socket since the last scrape";
    DEFLATE_FRAMES = "chat_deflate_frames_total", Counter, "frames", ["form"],
        "Frames to connections that agreed on compression: form is shared (once per room), alone or plain";
    DEFLATE_BYTES = "chat_deflate_bytes_total", Counter, "bytes", ["as"],
        "Bytes of those frames: as plain, and as sent";
    DEFLATE_STREAMS = "chat_deflate_streams", Gauge, "streams", [],
        "Rooms' compression contexts in memory, of 368 KiB each";
    RELOADS = "chat_reloads_total", Counter, "changes", ["file", "outcome"],
        "Changes seen in the files of keys and certificate (file is keys or certificate): outcome is taken or refused";
    RELOAD_REFUSED = "chat_reload_refused", Gauge, "1", ["file"],
        "1 while that file cannot be used as it is now, so that what it held before still counts";
    RUNTIME_LAG = "chat_runtime_lag_seconds", Gauge, "seconds", [],
        "How late the runtime's timer was at worst since the last scrape";
    SPANS_DROPPED = "chat_spans_dropped_total", Counter, "spans", [],
        "Spans that were not exported, because the queue was full or the collector refused them";
    SPANS_EXPORTED = "chat_spans_exported_total", Counter, "spans", [],
        "Spans that a collector took";
    APPEND_SECONDS = "chat_append_seconds", Histogram, "seconds", ["shard"],
        "One batch of appends, from its sending to the primary's answer";
    FENCE_SECONDS = "chat_fence_seconds", Histogram, "seconds", ["shard"],
        "One WAIT, from its sending to its answer";
    REPLICAS_ASKED = "chat_replicas_asked", Gauge, "replicas", ["shard"],
        "Replicas that the last fence asked for: everybody who could be elected";
    REPLICAS_ANSWERED = "chat_replicas_answered", Gauge, "replicas", ["shard"],
        "Replicas that the last fence counted";
    FENCES_SHORT = "chat_fences_short_total", Counter, "fences", ["shard"],
        "Fences that did not hold, so that acks had to wait";
    LOG_DISCONNECTS = "chat_log_disconnects_total", Counter, "connections", ["shard"],
        "Connections to Redis that were lost, refused or too slow";
    ENTRIES_READ = "chat_entries_read_total", Counter, "entries", ["shard"],
        "Entries read from the log and proven";
    READS_UNPROVEN = "chat_reads_unproven_total", Counter, "reads", ["shard"],
        "Reads that a server could not prove, so that nothing was delivered from them";
    TAIL_LAG = "chat_tail_lag_seconds", Gauge, "seconds", ["shard"],
        "Age of the newest entry of the last read when it was handed out";
    SWEPT_BEHIND = "chat_swept_behind_total", Counter, "rooms", ["shard"],
        "Rooms with entries that no bell had told of";
    SLOTS_MIGRATING = "chat_slots_migrating_total", Counter, "appends", ["shard"],
        "Appends that a migrating slot put off";
    HISTORY_LOST = "chat_history_lost_total", Counter, "sessions", [],
        "Sessions closed because their place in the history was gone";
    SHARD_DEGRADED = "chat_shard_degraded", Gauge, "1", ["shard"],
        "1 while this node cannot ack on that shard";
    SHARD_EPOCH = "chat_shard_epoch", Gauge, "1", ["shard"],
        "Config epoch of the shard's primary, as this node sees it; it rises with each failover";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_follow_the_conventions_of_prometheus() {
        for (n, metric) in ALL.iter().enumerate() {
            assert!(metric.name.starts_with("chat_"), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert!(ALL[..n].iter().all(|other| other.name != metric.name), "{} twice", metric.name);
        }
    }
}
