//! What benchmarks measure with: histories of a size that no test writes, and a clock for shared machines.

pub mod chat;
pub mod core_time;
