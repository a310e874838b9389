//! The fault proxy between Redis nodes, and between clients and Redis nodes.
pub mod state;
pub use state::{Carried, Kind, LinkState, Links, Node};
