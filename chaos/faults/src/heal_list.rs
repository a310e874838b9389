//! What must be undone, on disk before it is done.
//!
//! A harness that is killed cannot heal. It leaves this file in its run directory, and `chaos doctor` can find there
//! which processes are stopped or down. (Links need no undoing then: the proxy died with the harness.)

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use chaos_cluster::Server;
use serde::{Deserialize, Serialize};

use crate::Link;

/// One fault that may be on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToHeal {
    pub id: String,
    pub kind: String,
    pub target: String,
    pub steps: Vec<HealStep>,
}

/// How to undo one thing. Every step may be taken twice, and when there is nothing to undo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HealStep {
    /// SIGCONT to the process with this id.
    Resume { server: Server, pid: u32 },
    /// Start a process that is down. A Redis node that was a primary only once a survivor names another for its
    /// slots: before, its shorter log would wipe its replicas.
    Start { server: Server, when_replaced: bool },
    /// Take the delay off these links.
    Hasten { links: Vec<Link> },
    /// Let these links carry again.
    Mend { links: Vec<Link> },
    /// Let a server of a deployment back among the others.
    Rejoin { server: Server },
}

/// The file. Entries go when they are healed; an empty list is written too.
#[derive(Debug)]
pub struct HealList {
    path: PathBuf,
    open: Mutex<BTreeMap<String, ToHeal>>,
}

impl HealList {
    pub const FILE: &str = "heal.json";

    /// Writes an empty list to `directory`.
    pub fn create(directory: &Path) -> io::Result<HealList> {
        let list = HealList { path: directory.join(HealList::FILE), open: Mutex::default() };
        list.change(|_| ())?;
        Ok(list)
    }

    /// What the run in `directory` left to heal, in the order of the faults' ids.
    pub fn load(directory: &Path) -> io::Result<Vec<ToHeal>> {
        let text = fs::read(directory.join(HealList::FILE))?;
        serde_json::from_slice(&text).map_err(io::Error::from)
    }

    /// On disk, and synced, when this returns.
    pub(crate) fn before(&self, fault: ToHeal) -> io::Result<()> {
        self.change(|open| {
            open.insert(fault.id.clone(), fault);
        })
    }

    pub(crate) fn healed(&self, id: &str) -> io::Result<()> {
        self.change(|open| {
            open.remove(id);
        })
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, ToHeal>)) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut open);
        let entries: Vec<&ToHeal> = open.values().collect();
        let next = self.path.with_extension("json.next");
        let mut file = File::create(&next)?;
        serde_json::to_writer_pretty(&mut file, &entries)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&next, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(id: &str) -> ToHeal {
        let steps = vec![
            HealStep::Start { server: Server::Redis(3), when_replaced: true },
            HealStep::Resume { server: Server::Chat(1), pid: 17 },
        ];
        ToHeal { id: id.to_owned(), kind: "kill".to_owned(), target: "redis-3".to_owned(), steps }
    }

    #[test]
    fn what_may_be_on_is_on_disk_until_it_is_healed() {
        let directory = tempfile::tempdir().unwrap();
        let list = HealList::create(directory.path()).unwrap();
        assert_eq!(HealList::load(directory.path()).unwrap(), []);
        list.before(fault("1")).unwrap();
        list.before(fault("2")).unwrap();
        assert_eq!(HealList::load(directory.path()).unwrap(), [fault("1"), fault("2")]);
        list.healed("1").unwrap();
        list.healed("1").unwrap();
        assert_eq!(HealList::load(directory.path()).unwrap(), [fault("2")]);
    }

    #[test]
    fn a_list_that_cannot_be_written_is_an_error_before_anything_happens() {
        let directory = tempfile::tempdir().unwrap();
        let list = HealList::create(directory.path()).unwrap();
        fs::remove_dir_all(directory.path()).unwrap();
        assert!(list.before(fault("1")).is_err());
    }
}
