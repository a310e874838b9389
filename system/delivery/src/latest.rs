//! The newest value of something, and a way to wait for a newer one.
//!
//! Like tokio's `watch`, but whoever waits is woken in the order of waiting: `watch` wakes its receivers in a random
//! order, and that alone makes two runs of one simulated seed differ.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use tokio::sync::Notify;

struct Inner<T> {
    value: RwLock<T>,
    version: AtomicU64,
    changed: Notify,
}

/// Cheap to clone; all clones hold the same value.
pub(crate) struct Latest<T>(Arc<Inner<T>>);

/// What one reader has seen so far.
pub(crate) struct News<T> {
    of: Arc<Inner<T>>,
    seen: u64,
}

impl<T> Latest<T> {
    pub(crate) fn new(value: T) -> Self {
        let inner = Inner { value: RwLock::new(value), version: AtomicU64::new(0), changed: Notify::new() };
        Latest(Arc::new(inner))
    }

    /// Not to be held across an await.
    pub(crate) fn borrow(&self) -> impl Deref<Target = T> + '_ {
        self.0.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn replace(&self, value: T) {
        self.modify(|held| **held = value);
    }

    pub(crate) fn modify(&self, change: impl FnOnce(&mut RwLockWriteGuard<'_, T>)) {
        {
            let mut held = self.0.value.write().unwrap_or_else(PoisonError::into_inner);
            change(&mut held);
            self.0.version.fetch_add(1, Ordering::SeqCst);
        }
        self.0.changed.notify_waiters();
    }

    /// What is held now counts as seen.
    pub(crate) fn subscribe(&self) -> News<T> {
        News { of: self.0.clone(), seen: self.0.version.load(Ordering::SeqCst) }
    }
}

impl<T> News<T> {
    /// What is held now counts as seen.
    pub(crate) fn skip(&mut self) {
        self.seen = self.of.version.load(Ordering::SeqCst);
    }

    /// Until there is something newer than what was seen; that counts as seen then.
    pub(crate) async fn changed(&mut self) {
        loop {
            let changed = self.of.changed.notified();
            let version = self.of.version.load(Ordering::SeqCst);
            if version != self.seen {
                self.seen = version;
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_reader_hears_of_what_it_has_not_seen_and_of_nothing_else() {
        let latest = Latest::new(1);
        let mut news = latest.subscribe();
        assert!(timeout(Duration::from_millis(10), news.changed()).await.is_err());
        latest.replace(2);
        news.changed().await;
        assert_eq!(*latest.borrow(), 2);
        latest.modify(|held| **held += 1);
        news.skip();
        assert!(timeout(Duration::from_millis(10), news.changed()).await.is_err());
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_in_the_order_of_waiting() {
        let latest = Latest::new(0);
        let woken = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for waiter in 0..20 {
            let (mut news, woken) = (latest.subscribe(), woken.clone());
            tasks.spawn(async move {
                news.changed().await;
                woken.lock().unwrap().push(waiter);
            });
        }
        tokio::task::yield_now().await;
        latest.replace(1);
        tasks.join_all().await;
        assert_eq!(*woken.lock().unwrap(), (0..20).collect::<Vec<_>>());
    }
}
