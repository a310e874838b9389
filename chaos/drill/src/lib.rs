//! The whole experiment: file → plan → run → verdict → report.

mod compare;
mod contradictions;
mod deafness;
mod drill;
mod error;
mod exit;
mod expectation;
mod inject;
mod judge;
mod live;
mod load;
#[cfg(test)]
mod load_tests;
mod measure;
mod mistake;
mod overrides;
mod panics;
mod plan;
mod planted;
mod question;
mod read;
mod report;
mod run;
mod schedule;
mod shipped;
mod stop;
mod system;
mod unjudged;

pub use compare::{Compared, Found, as_html, as_text};
pub use drill::{Backend, CONTRACTS, Cluster, Delivery, Drill, Event, Expect, Fence, Redis, Step, When};
pub use error::RunError;
pub use exit::Exit;
pub use expectation::{Expectation, NoExpectation, exit_of};
pub use judge::{Judged, rejudge};
pub use live::{Audience, Counters, Nobody, Phase, words};
pub use load::{from_text, load};
pub use mistake::{Mistake, Mistakes, Place};
pub use overrides::Overrides;
pub use plan::{Budget, BudgetName, EngineSeen, Plan};
pub use planted::Planted;
pub use run::{Settings, run};
pub use schedule::{FaultSeen, PromotionSeen, RoleSeen, Schedule};
pub use shipped::{SHIPPED, Shipped};
pub use stop::Stop;
pub use system::{Start, System};
