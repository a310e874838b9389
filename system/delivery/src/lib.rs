//! Why is an ack a promise? The durable log of a chat room on Redis Cluster, and the same contract in memory.
//!
//! The way of a message: [`Log`] takes a [`Submission`] into a `queue` of lanes (one per sender and room) → the shard's
//! `writer` appends it by one Redis Function (`library`), fences it with `WAIT` over everybody who could be elected
//! (`eligible`, `fence`), acks it and rings the partition's bell → the `bells` of every node wake its `reader`, which
//! reads from the last delivered entry on and proves what it read → `rooms` hand each entry to exactly the sessions
//! that stand right before it. The `sweep` finds what bells missed; a [`Session`] joins, resumes (`replay`) and leaves.
//! Who owns which slot is `topology`, asked over single-node connections by `resolver`.
//!
//! Everything outside comes through [`Edge`]: connections, wall clock, randomness; time is tokio's. So the same code
//! runs on a simulated network. Deliberately absent: sockets, TLS, Socket.IO, and redis-rs' cluster connection, which
//! sends WAIT to all primaries and stays stuck after a failover.

mod api;
mod bells;
#[cfg(debug_assertions)]
mod broken;
mod config;
mod connection;
mod edge;
mod eligible;
mod entry;
mod fence;
mod fencer;
mod health;
mod latest;
mod library;
mod log;
mod memory;
mod names;
mod nursery;
mod outbox;
mod probe;
mod question;
mod queue;
mod reader;
mod replay;
mod replies;
mod resolver;
mod room;
mod rooms;
mod rules;
mod session;
mod shards;
mod silence;
mod source;
mod spans;
mod sweep;
mod topology;
mod trim;
mod view;
mod writer;

pub use api::{Acked, Delivery, Outcome, Receipt, Submission};
#[cfg(debug_assertions)]
pub use broken::{Broken, BrokenError};
pub use config::{Config, ConfigError, Credentials, Election, Fence};
pub use edge::{AddressError, Edge, RedisAddress};
pub use entry::Entry;
pub use health::{ShardState, ShardStatus, Status};
pub use log::Log;
pub use memory::Memory;
pub use names::{PARTITIONS, partition_of, slot_of_partition};
pub use outbox::{CloseReason, Closed, FanOut, Outbox, Slot};
pub use probe::{Event, Probe, Resumed, Silent};
pub use session::Session;
