//! Plain HTTP: what an operator asks a node, and the chat page.

mod limit;
mod origin;
mod page;
mod routes;

pub(crate) use limit::HttpLimit;
pub use origin::Origins;
pub(crate) use routes::{Http, Readiness, router};
