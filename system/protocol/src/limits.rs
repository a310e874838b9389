//! The contract's numbers. Every one is a default: a node may be configured otherwise.

use std::time::Duration;

/// Where the Socket.IO endpoint lives.
pub const PATH: &str = "/socket.io/";
/// The room of a CONNECT that names none.
pub const DEFAULT_ROOM: &str = "global";
/// Longest room name, message id and user id, in characters of the id alphabet (all of them ASCII).
pub const NAME_LENGTH: usize = 64;
/// Longest content, in UTF-16 code units: what `String.length` counts in a browser.
pub const CONTENT_UNITS: usize = 1000;
/// Rooms that one socket may be in.
pub const ROOMS_PER_SOCKET: usize = 50;
/// Messages that one socket may submit in a second.
pub const MESSAGES_PER_SECOND: u32 = 10;
/// Joins that one socket may ask for in a second, beyond twice [`ROOMS_PER_SOCKET`] at once.
pub const JOINS_PER_SECOND: u32 = 1;
/// After so many refusals in a row a node closes the connection; `rate_limited` counts as a tenth of one.
pub const REFUSALS_IN_A_ROW: u32 = 100;
/// Largest Engine.IO payload; a larger one closes the connection.
pub const PAYLOAD_BYTES: usize = 1_000_000;
/// Messages shorter than this go uncompressed, in bytes.
pub const DEFLATE_THRESHOLD: usize = 1024;
/// How often a node pings.
pub const PING_INTERVAL: Duration = Duration::from_secs(25);
/// How long a node waits for the pong.
pub const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take for each step to a session: TLS, the request, CONNECT.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How far a token's clock may differ.
pub const TOKEN_LEEWAY: Duration = Duration::from_secs(30);
/// A node that drains has closed everything after this long.
pub const DRAIN: Duration = Duration::from_secs(10);
/// How long a client waits for an ack before it sends the same id again.
pub const ACK_TIMEOUT: Duration = Duration::from_secs(5);
/// A message first sent longer ago than this is never sent again; its outcome is unknown.
pub const RETRY_HORIZON: Duration = Duration::from_mins(5);
/// How long a node tries to append one message.
pub const APPEND_DEADLINE: Duration = Duration::from_secs(30);
/// How long an id is remembered; more than [`RETRY_HORIZON`] + [`APPEND_DEADLINE`].
pub const DEDUPE_WINDOW: Duration = Duration::from_mins(15);
/// How long history is kept: a client that comes back within it misses nothing.
pub const HISTORY_WINDOW: Duration = Duration::from_mins(10);
/// Shortest and longest delay before a client connects again.
pub const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// Connections of any kind that one address may have.
pub const CONNECTIONS_PER_ADDRESS: usize = 1000;
/// HTTP requests that one address may make in [`HTTP_WINDOW`].
pub const HTTP_REQUESTS: u32 = 100;
/// The window of [`HTTP_REQUESTS`].
pub const HTTP_WINDOW: Duration = Duration::from_mins(15);
