//! Proof that a fault bit. A fault without it makes the verdict unknown, whatever else was seen.

use std::fmt;

use chaos_cluster::{Carried, NodeView, ProcessState, Role, View};
use chaos_observe::At;
use serde::{Deserialize, Serialize};

use crate::{Aim, Scene, Struck, fault::Owned};

/// One thing that was seen of a fault, in the target or around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub at: At,
    pub of: Sign,
    /// For people: what was seen, with its numbers.
    pub seen: String,
}

/// What kinds of things show that a fault bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// The process does not exist any more; of a deployment: nobody is at its place.
    ProcessGone,
    /// The process is in state T; of a deployment: it accepts connections and does not answer.
    ProcessStopped,
    /// Another process answers in its place.
    ProcessReplaced,
    /// Another node is primary of the slots, with a higher epoch.
    ReplicaPromoted,
    /// The process is back, and everyone still calls it the primary of its slots, in its old epoch.
    NobodyTookOver,
    /// Un-fenced writes that the killed primary acknowledged are missing on the promoted one.
    WritesLost,
    /// The proxy let bytes arrive late.
    BytesDelayed,
    /// The proxy kept bytes back, or let nobody connect.
    BytesWithheld,
    /// The others call it failing, and it is there.
    CalledFailing,
    /// A write took at least 80 % of the delay to reach a replica.
    ReplicationSlowed,
}

/// For people, as what was looked for.
impl fmt::Display for Sign {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Sign::ProcessGone => "its process gone",
            Sign::ProcessStopped => "its process stopped",
            Sign::ProcessReplaced => "another process in its place",
            Sign::ReplicaPromoted => "another primary of its slots",
            Sign::NobodyTookOver => "the same primary of its slots as before",
            Sign::WritesLost => "acknowledged writes that are missing",
            Sign::BytesDelayed => "bytes that came late",
            Sign::BytesWithheld => "bytes that were kept back",
            Sign::CalledFailing => "others that call it failing",
            Sign::ReplicationSlowed => "a write that took its time to a replica",
        })
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.seen)
    }
}

impl Scene<'_> {
    pub(crate) fn evidence(&self, of: Sign, seen: String) -> Evidence {
        Evidence { at: self.clock.now(), of, seen }
    }
}

/// All of them are gone.
pub(crate) fn gone(scene: &Scene<'_>, aim: &Aim) -> Option<Evidence> {
    all(scene, aim, ProcessState::Ended)
        .then(|| scene.evidence(Sign::ProcessGone, format!("{} gone", as_told(scene, aim))))
}

/// All of them hang.
pub(crate) fn stopped(scene: &Scene<'_>, aim: &Aim) -> Option<Evidence> {
    let how = match aim.struck.len() {
        _ if scene.cluster.has_links() => "in state T",
        1 => "accepts connections and does not answer",
        _ => "accept connections and do not answer",
    };
    all(scene, aim, ProcessState::Paused)
        .then(|| scene.evidence(Sign::ProcessStopped, format!("{} {how}", as_told(scene, aim))))
}

fn all(scene: &Scene<'_>, aim: &Aim, state: ProcessState) -> bool {
    aim.struck.iter().all(|struck| scene.cluster.life(struck.server, struck.pid) == state)
}

/// Each of them is gone, and another process runs under its name.
pub(crate) fn replaced(scene: &Scene<'_>, aim: &Aim) -> Option<Evidence> {
    let mut successors = Vec::new();
    for struck in &aim.struck {
        let pid = scene.cluster.pid(struck.server).filter(|pid| *pid != struck.pid)?;
        let life = |pid| scene.cluster.life(struck.server, pid);
        let changed = life(struck.pid) == ProcessState::Ended && life(pid) == ProcessState::Running;
        let told = |pid| scene.cluster.told(struck.server, pid);
        successors.push(changed.then(|| format!("{} is {}, was {}", struck.server, told(pid), told(struck.pid)))?);
    }
    Some(scene.evidence(Sign::ProcessReplaced, successors.join("; ")))
}

/// Of a primary that was hit: another node says that it has its slots, in a later epoch.
pub(crate) async fn promoted(scene: &Scene<'_>, aim: &Aim) -> Option<Evidence> {
    let (struck, owned) = primary(aim)?;
    let view = scene.cluster.view().await;
    let others = view.answered().filter(|(server, _)| *server != struck.server);
    let (server, node) = others
        .filter(|(_, node)| node.config_epoch > owned.epoch && owns(&node.slots, owned.slot()))
        .max_by_key(|(_, node)| node.config_epoch)?;
    let (slot, epoch, before) = (owned.slot(), node.config_epoch, owned.epoch);
    let seen = format!("{server} is primary of slot {slot} in epoch {epoch}; {} was in {before}", struck.server);
    Some(scene.evidence(Sign::ReplicaPromoted, seen))
}

/// Of a primary that was hit: it answers as before, and whoever answers calls it the primary, in the old epoch.
pub(crate) async fn unnoticed(scene: &Scene<'_>, aim: &Aim) -> Option<Evidence> {
    let (struck, owned) = primary(aim)?;
    let view = scene.cluster.view().await;
    let own = view.node(struck.server)?;
    let unchanged = own.config_epoch == owned.epoch && owns(&own.slots, owned.slot());
    (unchanged && everyone_agrees(&view, struck, owned)).then(|| {
        let seen = format!("everyone calls {} the primary, in epoch {} as before", struck.server, owned.epoch);
        scene.evidence(Sign::NobodyTookOver, seen)
    })
}

/// A majority of those who answer call each of them failing: they do not hear it.
pub(crate) async fn called_failing(scene: &Scene<'_>, aim: &Aim) -> Option<Evidence> {
    let view = scene.cluster.view().await;
    let mut seen = Vec::new();
    for struck in &aim.struck {
        let others: Vec<_> = view.answered().filter(|(server, _)| *server != struck.server).collect();
        let calls = |(_, node): &&(_, &NodeView)| {
            node.peers.get(&struck.server).is_some_and(|peer| peer.suspected || peer.failed)
        };
        let calling = others.iter().filter(calls).count();
        let majority = calling * 2 > others.len() && scene.cluster.pid(struck.server).is_some();
        seen.push(majority.then(|| format!("{calling} of {} others call {} failing", others.len(), struck.server))?);
    }
    Some(scene.evidence(Sign::CalledFailing, seen.join("; ")))
}

fn everyone_agrees(view: &View, struck: &Struck, owned: &Owned) -> bool {
    view.answered().all(|(_, node)| {
        let peer = node.peers.get(&struck.server);
        peer.is_some_and(|peer| peer.role == Role::Primary && !peer.failed && peer.config_epoch == owned.epoch)
    })
}

/// What the links that were touched did since.
pub(crate) fn carried_since(scene: &Scene<'_>, aim: &Aim, what: impl Fn(&Carried) -> u64) -> u64 {
    let links = scene.cluster.links();
    let since = aim.links.iter().filter_map(|touched| {
        let (from, to) = touched.link.ends()?;
        let now = links.carried(from, to, touched.link.kind);
        Some(what(&now).saturating_sub(what(&touched.before)))
    });
    since.sum()
}

fn primary(aim: &Aim) -> Option<(&Struck, &Owned)> {
    aim.struck.iter().find_map(|struck| Some((struck, struck.owned.as_ref()?)))
}

fn owns(slots: &[(u16, u16)], slot: u16) -> bool {
    slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
}

fn as_told(scene: &Scene<'_>, aim: &Aim) -> String {
    let told = |struck: &Struck| scene.cluster.told(struck.server, struck.pid);
    let names = aim.struck.iter().map(|struck| format!("{} ({})", struck.server, told(struck)));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_seen_is_told_in_words() {
        use Sign as S;
        let all = [
            S::ProcessGone,
            S::ProcessStopped,
            S::ProcessReplaced,
            S::ReplicaPromoted,
            S::NobodyTookOver,
            S::WritesLost,
            S::BytesDelayed,
            S::BytesWithheld,
            S::CalledFailing,
            S::ReplicationSlowed,
        ];
        for sign in all {
            let words = sign.to_string();
            assert!(words.contains(' ') && words == words.to_lowercase(), "{words:?} is no words for {sign:?}");
        }
    }
}
