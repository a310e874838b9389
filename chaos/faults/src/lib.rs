//! What goes wrong? One fault, one file; one list, below.
//!
//! A fault is injected into a running cluster, proves that it bit, and heals. Drill file or test → [`Inject`] →
//! [`aim`](Inject::aim) → [`Injected`] (`bite`, `prove`, `heal`); [`inject`](Inject::inject) is aim, bite and prove in
//! one, for whoever is never interrupted. A fault knows no drill, no workload and no verdict;
//! whoever injects it decides what follows from a fault without evidence.
//!
//! To add one: a file with its settings and an implementation of [`Fault`], a line in the list, and a test that fails
//! when its bite does nothing.

mod cut;
mod error;
mod evidence;
mod fast_restart;
mod fault;
mod heal;
mod heal_list;
mod injected;
mod kill;
mod link;
mod markers;
mod pause;
mod replication_delay;
mod resolve;
mod restart;
mod rolling_restart;
mod target;
mod terminate;

pub use cut::{Across, Carrying, Cut, Direction};
pub use error::FaultError;
pub use evidence::{Evidence, Sign};
pub use fast_restart::FastRestart;
pub use fault::{Aim, Fault, Owned, Scene, Struck};
pub use heal_list::{HealList, HealStep, ToHeal};
pub use injected::Injected;
pub use kill::Kill;
pub use link::Link;
pub use pause::Pause;
pub use replication_delay::ReplicationDelay;
pub use restart::Restart;
pub use rolling_restart::{Everyone, RollingRestart};
pub use target::{BadTarget, RedisTarget, Target};
pub use terminate::Terminate;

/// What `chaos faults` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As a drill file names it.
    pub kind: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// A value of `inject` in a drill file.
    pub example: &'static str,
}

/// Makes of the list an enum that a drill file can name, the catalogue, and the way from one to the other.
macro_rules! faults {
    ($($name:ident),+ $(,)?) => {
        /// Any fault, with its settings: `{ kill = { redis = "busiest_primary" } }`.
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Inject { $($name($name)),+ }

        $(impl From<$name> for Inject {
            fn from(fault: $name) -> Inject {
                Inject::$name(fault)
            }
        })+

        /// Every fault there is.
        pub const CATALOGUE: &[Entry] =
            &[$(Entry { kind: $name::KIND, summary: $name::SUMMARY, example: $name::EXAMPLE }),+];

        impl Inject {
            /// Which one, as a drill file names it.
            pub fn kind(&self) -> &'static str {
                match self { $(Inject::$name(_) => $name::KIND),+ }
            }

            /// Who is hit, by role.
            pub fn target(&self) -> String {
                match self { $(Inject::$name(fault) => fault.target()),+ }
            }

            /// How far it reaches at most: what the plan prints before anything is started.
            pub fn blast_radius(&self) -> String {
                match self { $(Inject::$name(fault) => fault.blast_radius()),+ }
            }

            /// Resolves the targets and writes down how to heal. Nothing has happened yet: [`Injected::bite`] does it.
            pub async fn aim(&self, id: &str, scene: &Scene<'_>) -> Result<Injected, FaultError> {
                match self { $(Inject::$name(fault) => injected::aim(fault, self.clone(), id, scene).await),+ }
            }

            pub(crate) async fn bite(&self, scene: &Scene<'_>, aim: &mut Aim) -> Result<(), FaultError> {
                match self { $(Inject::$name(fault) => fault.bite(scene, aim).await),+ }
            }

            pub(crate) async fn prove(&self, scene: &Scene<'_>, aim: &Aim) -> Vec<Evidence> {
                match self { $(Inject::$name(fault) => fault.prove(scene, aim).await),+ }
            }

            pub(crate) fn required(&self, aim: &Aim) -> Vec<Sign> {
                match self { $(Inject::$name(fault) => fault.required(aim)),+ }
            }
        }
    };
}

faults![Kill, Terminate, Pause, Restart, FastRestart, RollingRestart, ReplicationDelay, Cut];

#[cfg(test)]
mod schema_tests;
