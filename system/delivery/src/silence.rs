//! What each Redis node answered instead of what the cluster looks like: the reason that `/ready` gives, and a warning in
//! the log for what waiting will not mend.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::connection::LinkError;
use crate::edge::RedisAddress;

#[derive(Default)]
struct Said {
    why: String,
    /// All that it was since the node last answered; what alternates is news only once.
    before: BTreeSet<String>,
    /// Wrong credentials, an untrusted certificate, TLS on one side only.
    misfit: bool,
}

/// By address, until the node answers.
#[derive(Default)]
pub(crate) struct Silences(Mutex<BTreeMap<RedisAddress, Said>>);

impl Silences {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<RedisAddress, Said>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when this is news.
    pub(crate) fn note(&self, address: &RedisAddress, error: &LinkError) -> bool {
        let mut silences = self.lock();
        let said = silences.entry(address.clone()).or_default();
        (said.why, said.misfit) = (error.to_string(), error.is_misfit());
        said.before.insert(said.why.clone())
    }

    pub(crate) fn broken(&self, address: &RedisAddress) {
        self.lock().remove(address);
    }

    /// The most telling of them: what must be mended by hand before what may pass.
    pub(crate) fn why(&self) -> Option<String> {
        let said = self.lock();
        said.values().find(|said| said.misfit).or(said.values().next()).map(|said| said.why.clone())
    }
}
