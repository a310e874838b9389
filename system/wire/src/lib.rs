//! How do bytes leave a node? The stream layer under a WebSocket server: frames that are encoded once for all members
//! of a room, and compression that is paid once per broadcast.
//!
//! Deliberately absent: Socket.IO, rooms with a history, anything that knows what a message says.

pub mod deflate;
