//! Plain HTTP: what an operator asks a node, and the chat page.

mod crowd;
mod limit;
mod origin;
mod page;
mod proxies;
mod routes;
mod strict;

pub(crate) use crowd::{Crowd, Place};
pub(crate) use limit::HttpLimit;
pub use origin::Origins;
pub(crate) use proxies::Proxies;
pub(crate) use routes::{Http, Readiness, router};
