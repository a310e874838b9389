//! What the harness put out of order and has not seen back: in memory, and as a script for whoever finds the harness dead.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

use super::deployment::{Act, Deployment, quoted};
use crate::Server;

/// One server that is out of order by our doing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Out {
    pub(super) by: Act,
    pub(super) since: Instant,
}

pub(super) struct Ledger {
    script: PathBuf,
    out: Mutex<BTreeMap<Server, Out>>,
}

impl Ledger {
    pub(super) fn new(script: PathBuf) -> Ledger {
        Ledger { script, out: Mutex::default() }
    }

    pub(super) fn out(&self) -> BTreeMap<Server, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// On disk when this returns.
    pub(super) fn strike(&self, of: &Deployment, server: Server, by: Act) -> io::Result<()> {
        self.change(of, |out| {
            out.insert(server, Out { by, since: Instant::now() });
        })
    }

    pub(super) fn is_back(&self, of: &Deployment, server: Server) -> io::Result<()> {
        self.change(of, |out| {
            out.remove(&server);
        })
    }

    fn change(&self, of: &Deployment, change: impl FnOnce(&mut BTreeMap<Server, Out>)) -> io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut out);
        if out.is_empty() {
            return match fs::remove_file(&self.script) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let lines = out.iter().filter_map(|(server, out)| Some(line(*server, &back(of, *server, out.by)?, out.by)));
        let folder = quoted(&of.folder.display().to_string());
        let text = format!(
            "#!/bin/sh\n# Puts back in {} what a drill that did not end by itself has left.\ncd {folder} || exit\nleft=0\n{}\n\
             exit $left\n",
            of.name,
            lines.collect::<Vec<_>>().join("\n")
        );
        let next = self.script.with_extension("next");
        fs::write(&next, text)?;
        fs::File::open(&next)?.sync_all()?;
        fs::rename(next, &self.script)
    }
}

/// A Redis that was a primary and comes back before another has its slots may wipe its replicas: a person has to look.
pub(super) fn must_be_looked_at(server: Server, by: Act) -> bool {
    server.is_redis() && by.undone_by() == Some(Act::Start)
}

/// Of the script.
fn line(server: Server, back: &str, by: Act) -> String {
    if !must_be_looked_at(server, by) {
        return format!("{back} || left=1");
    }
    format!(
        "printf '%s' 'Do CLUSTER NODES of the others show {server} as a replica, or another primary with its slots? If \
         not, it may wipe its replicas. Start it? [y/N] '\nread -r answer\nif [ \"$answer\" = y ]; then\n  {back} || \
         left=1\nelse\n  echo '{server} was not started'\n  left=1\nfi"
    )
}

/// The command that puts it back.
pub(super) fn back(of: &Deployment, server: Server, by: Act) -> Option<String> {
    of.line(server, by.undone_by()?)
}
