//! What benchmarks measure with: histories of a size that no test writes.

pub mod chat;
