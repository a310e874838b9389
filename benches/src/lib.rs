//! What benchmarks measure with: histories of a size that no test writes, the chat corpus, and a clock for shared machines.

pub mod chat;
pub mod core_time;
pub mod corpus;
pub mod fanout;
