//! One buffer per thread, for bytes that are only passing through: no connection keeps one while it is idle.

use std::cell::RefCell;

/// What one read or one write moves at most.
pub(crate) const LENGTH: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; LENGTH].into());
}

/// Must not be nested.
pub(crate) fn with<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| work(scratch))
}
