//! The world: chat nodes that run the unchanged delivery code, users, faults, and the judge.
//!
//! In the flow: [`plan`] says what a seed means, [`run`] plays it and judges, [`inject`] carries faults out. Read
//! [`run::play`] first.

pub mod client;
pub mod edge;
pub mod fault;
pub mod hosts;
pub mod inject;
pub mod last_read;
pub mod manners;
pub mod node;
pub mod panics;
pub mod phase;
pub mod plan;
pub mod record;
pub mod run;
pub mod schedule;
pub mod wire;
