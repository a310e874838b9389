//! What the client promises, shown against a node that follows a script.

mod connections;
mod messages;
mod resume;
mod rooms;
mod script;
mod tls;
