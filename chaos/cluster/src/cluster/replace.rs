//! Starts a killed Redis node again when that is safe.
//!
//! A primary that comes back before it was replaced is still the primary, with whatever its disk has: its replicas
//! resynchronise to that and lose what they had. A fixed pause is not enough, because a split vote outlasts it. Where no
//! majority is left, nobody will ever be elected: then the replica with the most data is told to take over.

use std::time::Duration;

use super::Cluster;
use crate::{ClusterError, Server, View, backend::Process};

/// What made it safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It owned no slots: it was a replica.
    OwnedNothing,
    /// A survivor names this primary for its slots.
    By(Server),
    /// No majority was left to elect anyone, so this replica was told to take over.
    TakenOver(Server),
    /// No live replica: its own data is the only copy.
    NobodyLeft,
}

/// What the survivors say about a dead node.
#[derive(Debug, PartialEq, Eq)]
enum Outlook {
    Safe(Replaced),
    /// An election is due.
    Wait,
    /// Tell this replica.
    TakeOver(Server),
}

impl Cluster {
    /// Waits until a survivor names another primary for the slots of an ended node, then starts it again. Refused when no
    /// node answers.
    pub async fn restart_when_replaced(&self, server: Server, within: Duration) -> Result<Replaced, ClusterError> {
        // Whoever hears nobody knows of no slots, and would take it for a replica.
        let anybody = |view: &View| view.answered().next().is_some();
        let before = self.wait_for("an answer of any Redis node", within, anybody).await?;
        let slots = before.slots_of(server);
        let what = format!("another primary for the slots of {server}");
        let mut outlook = Outlook::Wait;
        // On a busy machine one that runs may be silent for a look.
        let runs = |server: Server| matches!(self.backend.process(server), Process::Running(_));
        let missing = |view: &View| {
            outlook = look(view, server, &slots, runs);
            (outlook == Outlook::Wait).then(|| format!("{server} is still named for slots {slots:?}"))
        };
        self.wait_until(&what, within, missing).await?;
        let replaced = match outlook {
            Outlook::Safe(replaced) => replaced,
            Outlook::TakeOver(replica) => self.take_over(replica, server, within).await?,
            Outlook::Wait => unreachable!("waited for until it was otherwise"),
        };
        self.start_again(server).await?;
        Ok(replaced)
    }

    async fn take_over(&self, replica: Server, dead: Server, within: Duration) -> Result<Replaced, ClusterError> {
        if self.backend.external().is_some() {
            let why = format!(
                "is not told to take over from {dead}: a deployment is touched by its operator's commands alone"
            );
            return Err(self.failed(replica, why));
        }
        self.order(replica, &["CLUSTER", "FAILOVER", "TAKEOVER"]).await?;
        let what = format!("{replica} as primary in the place of {dead}");
        self.wait_for(&what, within, |view| view.slots_of(dead).is_empty()).await?;
        Ok(Replaced::TakenOver(replica))
    }
}

/// `runs`: by the operating system's word, also when it has not answered. Nothing is given up for late.
fn look(view: &View, dead: Server, slots: &[(u16, u16)], runs: impl Fn(Server) -> bool) -> Outlook {
    if view.answered().next().is_none() {
        return Outlook::Wait;
    }
    let Some((first, _)) = slots.first() else { return Outlook::Safe(Replaced::OwnedNothing) };
    if let Some(primary) = view.primary_of_slot(*first).filter(|primary| *primary != dead) {
        // It must say so itself, or it is a dead one too that had the slots before.
        return if view.node(primary).is_some() { Outlook::Safe(Replaced::By(primary)) } else { Outlook::Wait };
    }
    let most = |server: &Server| view.node(*server).map_or(0, |node| node.offset);
    let replicas = view.replicas_of(dead);
    let Some(best) = replicas.iter().copied().filter(|server| view.node(*server).is_some()).max_by_key(most) else {
        let is_left = replicas.iter().any(|server| runs(*server));
        return if is_left { Outlook::Wait } else { Outlook::Safe(Replaced::NobodyLeft) };
    };
    let primaries = view.primaries();
    let alive = primaries.iter().filter(|server| view.node(**server).is_some() || runs(**server)).count();
    if alive * 2 > primaries.len() { Outlook::Wait } else { Outlook::TakeOver(best) }
}
