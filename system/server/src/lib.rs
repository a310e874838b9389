//! What is a chat node? Sessions, limits, HTTP, telemetry and drain, around a delivery that keeps the promise.
//!
//! The way of a message: [`socket`](self) reads and queues it, the session checks and charges it, a `Backend` stores
//! it and answers, the outbox acks. What comes back from the log goes through the same outbox to every member.
//! Deliberately absent: durability and order (`system-delivery`), the types of the wire (`system-protocol`).

mod auth;
mod backend;
mod chat;
pub mod config;
mod edge;
mod engine;
mod http;
mod listener;
mod log;
mod node;
mod phase;
mod pubsub;
mod rate_limit;
mod reload;
mod socket;
mod telemetry;
mod write_timeout;

pub use auth::{Authenticator, Identity, Keys};
pub use http::Origins;
pub use node::{Node, StartError};
pub use reload::Watched;
pub use telemetry::{Telemetry, names};
