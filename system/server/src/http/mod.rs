//! Plain HTTP: what an operator asks a node, and the page that says what it is.

mod limit;
mod origin;
mod routes;

pub(crate) use limit::HttpLimit;
pub use origin::Origins;
pub(crate) use routes::{Http, Readiness, router};
