//! Real servers: boot, promotion, pause, restart, the fault proxy, and what is left when the harness is killed.
//!
//! One cluster of 3 × (1 + 2) is booted for all and re-formed for each test, which take turns.

mod boot;
mod chat;
mod containers;
mod cut;
mod delay;
mod engines;
mod failover;
mod left_behind;
mod replace;
mod stage;
