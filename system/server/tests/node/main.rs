//! The contract of a chat node, seen from outside: the built binary, talked to over a plain WebSocket.
//!
//! One module per part of the contract. Deliberately absent: Redis, and with it durability, which `suites` shows.

mod client;
mod collector;
mod compression;
mod connecting;
mod crowding;
mod forged;
mod inflating;
mod lifecycle;
mod messages;
mod page;
mod patience;
mod process;
mod secrets;
mod server;
mod smuggling;
mod tls;
mod traces;
mod transport;
