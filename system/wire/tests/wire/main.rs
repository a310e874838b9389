//! What the stream layer promises, each promise with the fault that would break it.

mod batching;
mod ending;
mod members;
mod order;
mod peer;
mod reading;
mod slow;
mod tls;
