//! Does it keep its promises? One module per promise; what `cargo test` runs in CI.
//!
//! Start at a module's name: it says the promise. Scenarios play on a [`stage`], a warm cluster that they take in turn,
//! and end with a [`verdict`] of the same checkers that judge drills. `controls` break one rule of the protocol each
//! and pass only when that is noticed: without them nobody would know that the promises were really tested.

mod behind_nginx;
mod chat_node;
mod controls;
mod deployments;
mod fuzz;
mod game_day;
mod guarded;
mod harness_death;
mod http;
mod nginx;
mod node_loss;
mod official_client;
mod over_tls;
mod own_server;
mod payloads;
mod plain_socket;
mod planted_drops;
mod primary_loss;
mod process;
mod protocol_cases;
mod redis_access;
mod replica_loss;
mod stage;
mod stock_client;
mod stock_clients;
mod tidy;
mod verdict;
mod wait;
mod warm;
