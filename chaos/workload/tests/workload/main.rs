//! The load against chat nodes of a few lines, all in one process: what is recorded is compared with what they stored.

mod churn;
mod everyday;
mod nodes;
mod run;
mod trouble;
