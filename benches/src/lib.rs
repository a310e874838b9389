//! What benchmarks measure with: histories of a size that no test writes, the chat corpus, a clock for shared machines,
//! servers to be compared, and builds to be compared.

pub mod chat;
pub mod compare;
pub mod core_time;
pub mod corpus;
pub mod fanout;
mod table;
