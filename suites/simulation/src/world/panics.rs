//! Panics of a world's tasks. A runtime swallows them, wherever the task was spawned; the hook sees each.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

thread_local! {
    /// One world is one thread.
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

/// Count from here, on this thread.
pub fn forget() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            SEEN.set(SEEN.get() + 1);
            before(info);
        }));
    });
    SEEN.set(0);
}

pub fn seen() -> u64 {
    SEEN.get()
}
