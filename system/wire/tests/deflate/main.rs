//! permessage-deflate through its public face: what members read, what peers may send, and what it saves.

mod browser;
mod chunks;
mod corpus;
mod incoming;
mod model;
mod streams;
mod strict;
