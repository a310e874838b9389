//! What each command does, a file per family.

pub mod cluster;
pub mod connection;
pub mod functions;
pub mod info;
pub mod log;
pub mod planted;
pub mod pubsub;
pub mod streams;
