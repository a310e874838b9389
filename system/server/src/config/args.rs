//! The flags as they are typed; what they mean is decided in [`super`], which knows where each value came from.

use clap::Parser;
use system_protocol::limits;

use super::value::written;

/// A chat node: Socket.IO 5 over WebSocket, rooms with one order, acks that survive the loss of any one Redis process.
///
/// Without --redis it is one node with an in-memory log, for development.
#[derive(Debug, Parser)]
#[command(name = "chat-node", version)]
pub struct Args {
    /// Where to serve; port 0 lets the kernel choose, and the address is logged
    #[arg(long, env = "CHAT_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    pub listen: String,

    /// Nodes of the Redis Cluster, comma separated: redis://host:port, or rediss:// for TLS
    #[arg(long, env = "CHAT_REDIS_URLS", value_name = "URL,URL…")]
    pub redis: Option<String>,

    /// User of Redis's ACL
    #[arg(long, env = "CHAT_REDIS_USERNAME", value_name = "NAME")]
    pub redis_username: Option<String>,

    /// File that holds the password of Redis
    #[arg(long, env = "CHAT_REDIS_PASSWORD_FILE", value_name = "FILE")]
    pub redis_password_file: Option<String>,

    /// PEM file with the authorities that sign Redis's certificates; needed with rediss://
    #[arg(long, env = "CHAT_REDIS_CA_FILE", value_name = "FILE")]
    pub redis_ca_file: Option<String>,

    /// log: the durable log on Redis Cluster; pubsub: plain Socket.IO Redis adapter, which loses messages; memory
    #[arg(long, env = "CHAT_DELIVERY", value_name = "log|pubsub|memory")]
    pub delivery: Option<String>,

    /// full: ack only what every electable replica holds; none: ack without WAIT, which loses acked messages
    #[arg(long, env = "CHAT_FENCE", value_name = "full|none", default_value = "full")]
    pub fence: String,

    /// jwt: signed tokens; none: any token is taken as the user's name (development and load tests only)
    #[arg(long, env = "CHAT_AUTH", value_name = "jwt|none")]
    pub auth: Option<String>,

    /// File that holds the HS256 secret, 32 bytes or more; several, one a line, while one replaces another
    #[arg(long, env = "CHAT_JWT_SECRET_FILE", value_name = "FILE")]
    pub jwt_secret_file: Option<String>,

    /// PEM file with the public key of tokens, RSA (RS256) or Ed25519 (EdDSA); several while one replaces another
    #[arg(long, env = "CHAT_JWT_PUBLIC_KEY_FILE", value_name = "FILE")]
    pub jwt_public_key_file: Option<String>,

    /// PEM file with the listener's certificate and its chain: TLS 1.2 and 1.3, read again when it changes
    #[arg(long, env = "CHAT_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<String>,

    /// PEM file with that certificate's private key
    #[arg(long, env = "CHAT_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<String>,

    /// Origins that browsers may connect from, comma separated; the node's own pages always may
    #[arg(long, env = "CHAT_CORS_ORIGINS", value_name = "ORIGIN,ORIGIN…")]
    pub cors_origin: Option<String>,

    /// Proxies whose X-Forwarded-For is believed: addresses or networks, comma separated
    #[arg(long, env = "CHAT_TRUSTED_PROXIES", value_name = "ADDRESS[/BITS],…")]
    pub trusted_proxies: Option<String>,

    /// Messages per second and socket
    #[arg(long, env = "CHAT_RATE_LIMIT", value_name = "NUMBER", default_value_t = limits::MESSAGES_PER_SECOND.to_string())]
    pub rate_limit: String,

    /// Joins per second and socket, beyond twice as many at once as it may be in rooms
    #[arg(long, env = "CHAT_JOIN_RATE_LIMIT", value_name = "NUMBER", default_value_t = limits::JOINS_PER_SECOND.to_string())]
    pub join_rate_limit: String,

    /// HTTP requests per quarter of an hour and address
    #[arg(long, env = "CHAT_HTTP_RATE_LIMIT", value_name = "NUMBER", default_value_t = limits::HTTP_REQUESTS.to_string())]
    pub http_rate_limit: String,

    /// Connections that one address may have; straight from a private network they are not counted
    #[arg(long, env = "CHAT_CONNECTIONS_PER_ADDRESS", value_name = "NUMBER", default_value_t = limits::CONNECTIONS_PER_ADDRESS.to_string())]
    pub connections_per_address: String,

    /// Rooms that one socket may be in
    #[arg(long, env = "CHAT_ROOMS_PER_SOCKET", value_name = "NUMBER", default_value_t = limits::ROOMS_PER_SOCKET.to_string())]
    pub rooms_per_socket: String,

    /// This node's name in logs, metrics and traces (made up when not given)
    #[arg(long, env = "CHAT_NODE_ID", value_name = "NAME")]
    pub node_id: Option<String>,

    /// How often a client is pinged
    #[arg(long, env = "CHAT_PING_INTERVAL", value_name = "TIME", default_value_t = written(limits::PING_INTERVAL))]
    pub ping_interval: String,

    /// How long a client may take to answer a ping, and a peer may take no bytes at all
    #[arg(long, env = "CHAT_PING_TIMEOUT", value_name = "TIME", default_value_t = written(limits::PING_TIMEOUT))]
    pub ping_timeout: String,

    /// How long a client may take for each step to a session: TLS, the request, CONNECT
    #[arg(long, env = "CHAT_HANDSHAKE_TIMEOUT", value_name = "TIME", default_value_t = written(limits::HANDSHAKE_TIMEOUT))]
    pub handshake_timeout: String,

    /// How long history is kept for clients that come back
    #[arg(long, env = "CHAT_HISTORY_WINDOW", value_name = "TIME", default_value_t = written(limits::HISTORY_WINDOW))]
    pub history_window: String,

    /// Bytes that may wait for one socket; more close it, and its client resumes
    #[arg(long, env = "CHAT_SEND_BUFFER", value_name = "BYTES", default_value = "8388608")]
    pub send_buffer: String,

    /// Bytes of payload from which on a message is compressed for clients that offer it; 0 is every one, off offers none
    #[arg(long, env = "CHAT_DEFLATE_THRESHOLD", value_name = "BYTES|off", default_value_t = limits::DEFLATE_THRESHOLD.to_string())]
    pub deflate_threshold: String,

    /// How long a SIGTERM may take
    #[arg(long, env = "CHAT_DRAIN_WITHIN", value_name = "TIME", default_value_t = written(limits::DRAIN))]
    pub drain_within: String,

    /// What is logged, as directives: info, or system_server=debug,info
    #[arg(long, env = "CHAT_LOG", value_name = "DIRECTIVES", default_value = "info")]
    pub log: String,

    /// Faults to plant, for the suite's negative controls (debug builds only)
    #[cfg(debug_assertions)]
    #[arg(long, env = "CHAT_BROKEN", value_name = "SPEC")]
    pub broken: Option<String>,

    /// OTLP endpoint (http/protobuf); traces are off without one
    #[arg(long = "otlp-endpoint", env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Share of messages without a trace of their own that start one, 0 to 1
    #[arg(long = "otlp-ratio", env = "OTEL_TRACES_SAMPLER_ARG", value_name = "RATIO", default_value = "0.01")]
    pub otlp_ratio: String,

    /// Milliseconds after which finished spans are exported at the latest
    #[arg(long = "otlp-delay", env = "OTEL_BSP_SCHEDULE_DELAY", value_name = "MILLISECONDS", default_value = "1000")]
    pub otlp_delay: String,

    /// Finished spans that may wait for export; more are dropped and counted
    #[arg(long = "otlp-queue", env = "OTEL_BSP_MAX_QUEUE_SIZE", value_name = "NUMBER", default_value = "8192")]
    pub otlp_queue: String,
}
