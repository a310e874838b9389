//! Which rules of the protocol hold. All of them, but for what a build with debug assertions breaks on purpose.

#[cfg(debug_assertions)]
use crate::broken::Broken;
use crate::config::Config;

#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    #[cfg(debug_assertions)]
    broken: Broken,
}

/// A question that a release build answers with "no" at compile time.
macro_rules! switches {
    ($($name:ident),*) => {$(
        pub(crate) fn $name(&self) -> bool {
            #[cfg(debug_assertions)]
            let broken = self.broken.$name;
            #[cfg(not(debug_assertions))]
            let broken = false;
            broken
        }
    )*};
}

/// Whether this very message is to be dropped there.
macro_rules! drops {
    ($($name:ident),*) => {$(
        pub(crate) fn $name(&self, mark: [u8; 8]) -> bool {
            #[cfg(debug_assertions)]
            let picked = Broken::picks(self.broken.$name, mark);
            #[cfg(not(debug_assertions))]
            let picked = { let _ = mark; false };
            picked
        }
    )*};
}

impl Rules {
    #[cfg(debug_assertions)]
    pub(crate) fn of(config: &Config) -> Self {
        Rules { broken: config.broken.clone() }
    }

    #[cfg(not(debug_assertions))]
    pub(crate) fn of(_: &Config) -> Self {
        Rules {}
    }

    switches!(
        no_dedupe,
        uncommitted,
        believe_stale,
        attached_only,
        unattached_only,
        any_flag,
        old_flags,
        silent_excused,
        k_as_asked,
        unwritten_fence,
        own_claim,
        lowest_epoch,
        no_mark,
        exclusive_read,
        no_existence_check,
        no_sweep,
        node_cursor,
        trim_young
    );
    drops!(drop_after_append, drop_bell, drop_fanout);
}
