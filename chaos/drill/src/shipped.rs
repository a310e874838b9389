//! The drills that come with the program: embedded, so that an installed binary has them.
//!
//! To add one: a file in `fixtures/drills` and a line here; a test loads every one of them.

use crate::mistake;

/// A drill file inside the program.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    pub name: &'static str,
    pub text: &'static str,
}

macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        &[$(Shipped { name: $name, text: include_str!(concat!("../../../fixtures/drills/", $name, ".toml")) }),+]
    };
}

/// In the order in which a newcomer may want to run them; those that must fail come last.
pub const SHIPPED: &[Shipped] = shipped![
    "primary-kill",
    "primary-pause",
    "replica-kill",
    "node-kill",
    "primary-and-node-kill",
    "one-replica",
    "rolling-restart",
    "pubsub-primary-kill",
    "no-fence",
    "fast-restart-no-aof",
];

pub(crate) fn find(name: &str) -> Option<Shipped> {
    SHIPPED.iter().copied().find(|drill| drill.name == name)
}

pub(crate) fn nearest(name: &str) -> Option<String> {
    mistake::nearest(name, SHIPPED.iter().map(|drill| drill.name))
}
